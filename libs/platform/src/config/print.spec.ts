import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadGatewayConfig } from './load.js';
import { printConfig } from './print.js';

const plugin = {
  name: 'dynflow_foreman_salt',
  settings: {
    section: 'salt',
    schema: z.object({
      api_url: z.string().optional(),
      api_password: z.string().optional(),
      api_token_file: z.string().optional(),
      seed: z.string().meta({ secret: true }).optional(),
      password_prompt: z.string().meta({ secret: false }).default('Password:'),
      minions: z.array(z.string()).default([]),
    }),
  },
};

async function printed(options?: { json: boolean }): Promise<string> {
  const { entries } = await loadGatewayConfig({
    env: {
      DYNFLOW_PLUGINS: 'dynflow_foreman_salt',
      DYNFLOW_DATABASE_URL: 'postgres://dynflow:s3cr3t@db.example.com/dynflow?sslpassword=s3cr3t&x=1',
      DYNFLOW_SECRET_KEYS_FILE: '/tmp/keys.json',
      DYNFLOW_NATS_URL: 'nats://t0k3n@bus:4222,tls://user:s3cr3t@other:4222',
      DYNFLOW_SALT_API_URL: 'https://user:s3cr3t@salt:9191',
      DYNFLOW_SALT_API_PASSWORD: 's3cr3t',
      DYNFLOW_SALT_API_TOKEN_FILE: '/etc/token',
      DYNFLOW_SALT_SEED: 's3cr3t',
    },
    loadPlugin: () => Promise.resolve(plugin),
  });
  return printConfig(entries, options);
}

describe('printConfig', () => {
  it('prints a table with the value and the source of each setting, nothing secret in it', async () => {
    const lines = (await printed()).split('\n');

    expect(lines.join('\n')).not.toMatch(/s3cr3t|t0k3n/);
    const line = (variable: string): string => lines.find((one) => one.startsWith(`${variable} `))?.replaceAll(/ {2,}/g, ' | ') ?? '';
    expect(lines[0]?.replaceAll(/ {2,}/g, ' | ')).toBe('SETTING | VALUE | SOURCE');
    expect(line('DYNFLOW_PORT')).toBe('DYNFLOW_PORT | 8008 | default');
    expect(line('DYNFLOW_FOREMAN_URL')).toBe('DYNFLOW_FOREMAN_URL | - | default');
    expect(line('DYNFLOW_NATS_URL')).toBe('DYNFLOW_NATS_URL | nats://[hidden]@bus:4222,tls://user:[hidden]@other:4222 | environment');
    expect(line('DYNFLOW_SALT_API_PASSWORD')).toBe('DYNFLOW_SALT_API_PASSWORD | [hidden] | environment');
    expect(line('DYNFLOW_SALT_PASSWORD_PROMPT')).toBe('DYNFLOW_SALT_PASSWORD_PROMPT | Password: | default');
    expect(line('DYNFLOW_SALT_API_TOKEN_FILE')).toBe('DYNFLOW_SALT_API_TOKEN_FILE | /etc/token | environment');
    expect(line('DYNFLOW_SALT_MINIONS')).toBe('DYNFLOW_SALT_MINIONS | (empty list) | default');
  });

  it('prints JSON for programs, nothing secret in it', async () => {
    const text = await printed({ json: true });

    expect(text).not.toMatch(/s3cr3t|t0k3n/);
    expect(JSON.parse(text)).toMatchObject({
      DYNFLOW_DATABASE_URL: {
        value: 'postgres://dynflow:[hidden]@db.example.com/dynflow?sslpassword=[hidden]&x=1',
        source: 'environment',
        from: null,
        fileKey: 'database_url',
        plugin: null,
      },
      DYNFLOW_SALT_SEED: { value: '[hidden]', fileKey: 'salt.seed', plugin: 'dynflow_foreman_salt' },
      DYNFLOW_SALT_MINIONS: { value: [] },
    });
  });
});
