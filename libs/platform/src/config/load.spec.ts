import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, type ConfigFault } from './faults.js';
import type { Environment } from './gather.js';
import { loadExecutorConfig, loadGatewayConfig, type LoadedConfig } from './load.js';
import type { GatewayConfig } from './config.js';
import type { ConfigurablePlugin } from './plugin-settings.js';

const remoteExecution: ConfigurablePlugin = {
  name: 'dynflow_foreman_remote_execution',
  settings: {
    section: 'remote_execution',
    schema: z.object({
      ssh_user: z.string().default('root'),
      ssh_port: z.number().int().min(1).max(65_535).default(22),
      cleanup_working_dirs: z.boolean().default(true),
      mode: z.enum(['ssh', 'pull', 'pull-mqtt']).default('ssh'),
      jump_hosts: z.array(z.string()).default([]),
      sudo_password: z.string().min(8).optional(),
    }),
  },
};

const tasks: ConfigurablePlugin = {
  name: 'dynflow_foreman_tasks',
  settings: {
    section: 'foreman',
    schema: z.object({ url: z.url().nullish(), ssl_ca: z.string().nullish(), callback_attempts: z.number().default(5) }),
  },
};

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'dynflow-config-'));
});

afterAll(() => rmSync(dir, { recursive: true }));

async function load(env: Environment): Promise<LoadedConfig<GatewayConfig, ConfigurablePlugin>> {
  const plugins = [remoteExecution, tasks];
  return loadGatewayConfig({
    env,
    loadPlugin: async (name) => {
      const plugin = plugins.find((one) => one.name === name);
      return plugin ?? Promise.reject(new Error(`there is no package "${name}"`));
    },
  });
}

async function faultsOf(env: Environment): Promise<readonly ConfigFault[]> {
  const error: unknown = await load(env).then(
    () => new Error('the configuration was accepted'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  return error.faults;
}

function file(text: string | Uint8Array): string {
  const path = join(dir, `${Math.random()}.yml`);
  writeFileSync(path, text);
  return path;
}

describe('the configuration of a gateway', () => {
  it('works without any setting: fat shape, loopback, in memory', async () => {
    const { config, plugins, notes } = await load({ HOME: '/root', PATH: '/bin' });

    expect(config).toMatchObject({
      program: 'gateway',
      shape: 'fat',
      http: { host: '127.0.0.1', port: 8008, tls: null, trustedHosts: null, maxBodyBytes: 67_108_864 },
      database: { kind: 'sqlite-memory', url: 'sqlite::memory:' },
      secretKeysFile: null,
      retentionMs: 86_400_000,
      outputLimitBytes: 10_485_760,
      nats: null,
      executor: { slots: 100, site: 'default', drainLimitMs: 25_000 },
      foreman: { url: null, tls: { cert: null, key: null, ca: null } },
      log: { level: 'info', format: 'auto' },
    });
    expect(config.executor.id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(plugins.map(({ plugin }) => plugin.name)).toEqual(['dynflow_foreman_tasks', 'dynflow_foreman_remote_execution']);
    expect(notes.join()).toContain('a restart loses all jobs');
  });

  it('takes the environment before the file and the file before the default', async () => {
    const path = file('port: 1000\nslots: 7\n:retention: 2d\n');

    const { config, entries } = await load({ DYNFLOW_CONFIG: path, DYNFLOW_PORT: '2000' });

    expect(config.http.port).toBe(2000);
    expect(config.executor.slots).toBe(7);
    expect(config.retentionMs).toBe(172_800_000);
    const sources = Object.fromEntries(entries.map(({ variable, source }) => [variable, source]));
    expect(sources).toMatchObject({ DYNFLOW_PORT: 'environment', DYNFLOW_SLOTS: 'file', DYNFLOW_LISTEN: 'default' });
  });

  it('reads a file in the Ruby programs’ manner: symbols as keys and words, at every depth', async () => {
    const path = file(
      ':log_level: :debug\n:trusted_hosts:\n  - Foreman.Example.COM\n:remote_execution:\n  :mode: :pull-mqtt\n  :ssh_user: deploy\n',
    );

    const { config, plugins } = await load({ DYNFLOW_CONFIG: path });

    expect(config.log.level).toBe('debug');
    expect(config.http.trustedHosts).toEqual(['foreman.example.com']);
    expect(plugins[1]?.settings).toMatchObject({ mode: 'pull-mqtt', ssh_user: 'deploy' });
  });

  it('reads a plugin’s settings from texts by the kinds that its schema names', async () => {
    const { plugins } = await load({
      DYNFLOW_REMOTE_EXECUTION_SSH_USER: '1000',
      DYNFLOW_REMOTE_EXECUTION_SSH_PORT: '2222',
      DYNFLOW_REMOTE_EXECUTION_CLEANUP_WORKING_DIRS: 'no',
      DYNFLOW_REMOTE_EXECUTION_MODE: ':pull',
      DYNFLOW_REMOTE_EXECUTION_JUMP_HOSTS: 'a.example, b.example',
    });

    expect(plugins[1]?.settings).toEqual({
      ssh_user: '1000',
      ssh_port: 2222,
      cleanup_working_dirs: false,
      mode: 'pull',
      jump_hosts: ['a.example', 'b.example'],
    });
  });

  it('shares with a plugin the settings that are named alike: one variable, one value, one line', async () => {
    const ca = file('x');
    await expect(faultsOf({ DYNFLOW_FOREMAN_URL: 'foreman', DYNFLOW_FOREMAN_CALLBACK_ATTEMPTS: '0x' })).resolves.toMatchObject([
      { variable: 'DYNFLOW_FOREMAN_URL' },
      { variable: 'DYNFLOW_FOREMAN_CALLBACK_ATTEMPTS', fileKey: 'foreman.callback_attempts' },
    ]);
    await expect(faultsOf({ DYNFLOW_SSL_CA: ca })).resolves.toMatchObject([{ variable: 'DYNFLOW_SSL_CA' }]);

    const { plugins, config, entries } = await load({ DYNFLOW_FOREMAN_URL: 'https://foreman.example.com/sub/' });
    expect(plugins[0]?.settings).toEqual({ url: 'https://foreman.example.com/sub/', callback_attempts: 5 });
    expect(config.foreman.url).toBe('https://foreman.example.com/sub');
    expect(entries.filter(({ variable }) => variable === 'DYNFLOW_FOREMAN_URL')).toMatchObject([{ source: 'environment', plugin: null }]);
  });

  it.each(['foreman_url: https://f', 'foreman: {url: https://f}', ':foreman:\n  :url: https://f\n'])('reads %j', async (text) => {
    const { plugins, config } = await load({ DYNFLOW_CONFIG: file(text) });

    expect(config.foreman.url).toBe('https://f');
    expect(plugins[0]?.settings).toMatchObject({ url: 'https://f' });
  });

  it('loads no plugin for an empty list, and only the local one in the thin shape', async () => {
    expect((await load({ DYNFLOW_PLUGINS: '' })).plugins).toEqual([]);

    const thin = await load({ DYNFLOW_NATS_URL: 'nats://127.0.0.1:4222', DYNFLOW_DATABASE_URL: `sqlite:${dir}/thin.sqlite` });
    expect(thin.config.shape).toBe('thin');
    expect(thin.plugins.map(({ plugin }) => plugin.name)).toEqual(['dynflow_foreman_tasks']);
    expect(thin.config.secretKeysFile).toBe(`${dir}/thin.sqlite.keys`);
  });

  it('counts an empty variable as absent', async () => {
    const { config } = await load({ DYNFLOW_NATS_URL: '', DYNFLOW_PORT: ' ', DYNFLOW_CONFIG: '' });

    expect(config).toMatchObject({ shape: 'fat', http: { port: 8008 } });
  });

  it('leaves alone what belongs to plugins elsewhere and to Kubernetes', async () => {
    const { notes } = await load({
      DYNFLOW_SALT_USE_API: 'true',
      DYNFLOW_CONFIG: file('ansible: {working_dir: /x}'),
      DYNFLOW_API_SERVICE_HOST: '10.0.0.1',
      DYNFLOW_API_PORT: 'tcp://10.0.0.1:8008',
      DYNFLOW_API_PORT_8008_TCP_ADDR: '10.0.0.1',
    });

    expect(notes.filter((note) => note.includes('not used here'))).toHaveLength(2);
  });
});

describe('a faulty configuration', () => {
  it('is refused with all its faults at once, each with variable, key, expectation and value', async () => {
    const path = file('slots: many\nporrt: 8008\nremote_execution: {ssh_prot: 23, ssh_port: 0}\n');

    const faults = await faultsOf({
      DYNFLOW_CONFIG: path,
      DYNFLOW_PORT: '80o8',
      DYNFLOW_LISTENN: '::1',
      DYNFLOW_DB_CONN_STRING: 'x',
      DYNFLOW_REMOTE_EXECUTION_MODE: 'push',
      DYNFLOW_FOREMAN_URL: 'foreman.example.com',
    });

    expect(faults.map(({ variable, fileKey }) => variable ?? fileKey ?? '').sort((one, other) => one.localeCompare(other))).toEqual([
      'DYNFLOW_DB_CONN_STRING',
      'DYNFLOW_FOREMAN_URL',
      'DYNFLOW_LISTENN',
      'DYNFLOW_PORT',
      'DYNFLOW_REMOTE_EXECUTION_MODE',
      'DYNFLOW_REMOTE_EXECUTION_SSH_PORT',
      'DYNFLOW_SLOTS',
      'porrt',
      'remote_execution.ssh_prot',
    ]);
    expect(faults.find(({ variable }) => variable === 'DYNFLOW_PORT')).toEqual({
      variable: 'DYNFLOW_PORT',
      fileKey: 'port',
      source: 'environment',
      expected: 'expected a TCP port, 0 to 65535 (0: any free one)',
      got: '"80o8"',
    });
    const text = new ConfigError(faults).message;
    expect(text).toContain('the configuration has 9 faults:');
    expect(text).toContain('DYNFLOW_SLOTS (slots in the file): expected a whole number from 1 to 100000, got "many" from the file');
    expect(text).toContain('DYNFLOW_LISTENN: is no setting; did you mean DYNFLOW_LISTEN?');
    expect(text).toContain('DYNFLOW_DB_CONN_STRING: is no setting; did you mean DYNFLOW_DATABASE_URL?');
    expect(text).toContain('porrt in the file: is no setting; did you mean port?');
    expect(text).toContain('did you mean remote_execution.ssh_port?');
    expect(text).toContain('expected one of "ssh"|"pull"|"pull-mqtt"');
  });

  it('never shows a secret', async () => {
    const faults = await faultsOf({
      DYNFLOW_DATABASE_URL: 'postgres://dynflow:s3cr3t/p@ss@[broken',
      DYNFLOW_NATS_URL: 'nats://t0k3n@host:4222,http://user:s3cr3t@host',
      DYNFLOW_REMOTE_EXECUTION_SUDO_PASSWORD: 's3cr3t',
    });

    const text = new ConfigError(faults).message;
    expect(faults.map(({ variable }) => variable)).toContain('DYNFLOW_DATABASE_URL');
    expect(faults.map(({ variable }) => variable)).toContain('DYNFLOW_NATS_URL');
    expect(text).not.toMatch(/s3cr3t|t0k3n|p@ss/);
  });

  it.each([
    ['a file that is missing', '/nowhere/config.yml', 'cannot be read'],
    ['a list at the root', '- port', 'mapping'],
    ['malformed YAML', 'port: [1, 2\nlisten: "', 'line 2'],
    ['one key twice', 'port: 1\n:port: 2\n', 'twice'],
    ['bytes that are not UTF-8', new Uint8Array([0x70, 0xff, 0xfe]), 'not UTF-8'],
  ])('says of %s what is wrong', async (_, content, expected) => {
    const path = content === '/nowhere/config.yml' ? content : file(content);

    const faults = await faultsOf({ DYNFLOW_CONFIG: path });

    expect(faults[0]).toMatchObject({ variable: 'DYNFLOW_CONFIG', got: path });
    expect(faults[0]?.expected).toContain(expected);
  });

  it.each<[string, Environment, string]>([
    ['in memory with NATS', { DYNFLOW_NATS_URL: 'nats://h' }, 'DYNFLOW_DATABASE_URL'],
    ['an open address without TLS', { DYNFLOW_LISTEN: '0.0.0.0' }, 'DYNFLOW_LISTEN'],
    ['any IPv6 address without TLS', { DYNFLOW_LISTEN: '::' }, 'DYNFLOW_LISTEN'],
    ['a certificate without its key', { DYNFLOW_SSL_CERT: '/nowhere/a.crt' }, 'DYNFLOW_SSL_KEY'],
    ['a certificate that is missing', { DYNFLOW_SSL_CERT: '/nowhere/a.crt' }, 'DYNFLOW_SSL_CERT'],
    ['a Foreman authority that is missing', { DYNFLOW_FOREMAN_SSL_CA: '/nowhere/ca.crt' }, 'DYNFLOW_FOREMAN_SSL_CA'],
    ['PostgreSQL without a key ring', { DYNFLOW_DATABASE_URL: 'postgres://h/d' }, 'DYNFLOW_SECRET_KEYS_FILE'],
    ['a database in a directory that is missing', { DYNFLOW_DATABASE_URL: 'sqlite:/nowhere/d.sqlite' }, 'DYNFLOW_DATABASE_URL'],
    ['a plugin that is missing', { DYNFLOW_PLUGINS: 'dynflow_nothing' }, 'DYNFLOW_PLUGINS'],
  ])('is refused for %s', async (_, env, variable) => {
    expect((await faultsOf(env)).map((fault) => fault.variable)).toContain(variable);
  });

  it('accepts loopback in all its forms without TLS', async () => {
    for (const listen of ['127.0.0.53', '::1', '[::1]', 'localhost']) {
      expect((await load({ DYNFLOW_LISTEN: listen })).config.http.tls).toBeNull();
    }
  });
});

describe('the configuration of an executor', () => {
  it('needs NATS and leaves alone what is the gateway’s', async () => {
    const { config, plugins } = await loadExecutorConfig({
      env: {
        DYNFLOW_NATS_URL: 'nats://a:4222, tls://b',
        DYNFLOW_DATABASE_URL: 'postgres://h/d',
        DYNFLOW_LISTEN: '0.0.0.0',
        DYNFLOW_SLOTS: '3',
      },
      plugin: remoteExecution,
    });

    expect(config).toMatchObject({
      program: 'executor',
      nats: { url: 'nats://a:4222,tls://b', nkeyFile: null },
      executor: { slots: 3, drainLimitMs: null },
    });
    expect(plugins).toEqual([{ plugin: remoteExecution, settings: expect.objectContaining({ ssh_user: 'root' }) }]);
    await expect(loadExecutorConfig({ env: {}, plugin: remoteExecution })).rejects.toMatchObject({
      code: 'DYN_CONFIG_INVALID',
      faults: [{ variable: 'DYNFLOW_NATS_URL' }],
    });
  });
});
