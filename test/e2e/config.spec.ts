import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runToEnd } from '../support/service-process.js';
import type { Environment, Program } from '../support/service-process.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dynflow-e2e-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Refuses to start: exit code 1, words for its user, no stack trace. */
async function refusal(env: Environment, program: Program = 'gateway', args: readonly string[] = []): Promise<string> {
  const ended = await runToEnd(program, args, { env });
  expect(ended).toMatchObject({ exitCode: 1, stdout: '' });
  expect(ended.stderr).not.toMatch(/\n\s+at |node:internal/);
  return ended.stderr;
}

describe('both programs', () => {
  test.each(['gateway', 'remoteExecution'] as const)('%s tells how it is used', async (program) => {
    const help = await runToEnd(program, ['--help']);
    expect(help).toMatchObject({ exitCode: 0, stderr: '' });
    expect(help.stdout).toContain('DYNFLOW_NATS_URL');
    expect(help.stdout).toContain('--print-config');
  });

  test('tell their version', async () => {
    expect(await runToEnd('gateway', ['--version'])).toEqual({ exitCode: 0, stdout: '0.1.0\n', stderr: '' });
  });

  test('refuse a word that they do not know, and suggest one', async () => {
    expect(await refusal({}, 'gateway', ['--prot-config'])).toContain('--print-config');
  });

  test('an executor needs NATS', async () => {
    expect(await refusal({}, 'remoteExecution')).toContain('DYNFLOW_NATS_URL');
  });
});

describe('the configuration that is in force', () => {
  test.each([[['--print-config']], [['--print-config', '--json']]])('is printed by %s with its secrets hidden', async (args) => {
    const secret = 'hunter2-planted';
    const file = join(dir, 'config.yml');
    await writeFile(file, 'retention: 7d\nremote_execution:\n  ssh_user: admin\n');
    const { exitCode, stdout, stderr } = await runToEnd('gateway', args, {
      env: {
        DYNFLOW_CONFIG: file,
        DYNFLOW_DATABASE_URL: `postgres://dynflow:${secret}@db.example.test/dynflow`,
        DYNFLOW_SECRET_KEYS_FILE: join(dir, 'keys.json'),
        DYNFLOW_NATS_URL: `nats://gateway:${secret}@nats.example.test:4222`,
        DYNFLOW_PLUGINS: 'dynflow_foreman_tasks,dynflow_foreman_remote_execution',
        DYNFLOW_FOREMAN_URL: `https://user:${secret}@foreman.example.test`,
      },
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).not.toContain(secret);
    for (const text of ['db.example.test', 'nats.example.test', 'foreman.example.test', '7d', 'admin']) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toContain('DYNFLOW_REMOTE_EXECUTION_SSH_USER');
  });
});

describe('the gateway refuses to start', () => {
  test('and names every fault at once, with the variable, what was expected and what was found', async () => {
    const text = await refusal({
      DYNFLOW_PORT: 'abc',
      DYNFLOW_SLOTS: '0',
      DYNFLOW_FOREMAN_URL: 'ftp://foreman.example.test',
      DYNFLOW_SSL_CERT: join(dir, 'no.crt'),
      DYNFLOW_DATABSE_URL: 'sqlite::memory:',
      DYNFLOW_REMOTE_EXECUTION_HOST_KEY_POLICY: 'maybe',
      DYNFLOW_RETENTION: 'soon',
    });
    for (const line of [
      /DYNFLOW_PORT .*expected a TCP port.*got "abc"/,
      /DYNFLOW_SLOTS .*expected a whole number.*got "0"/,
      /DYNFLOW_FOREMAN_URL .*expected an https.*got "ftp:/,
      /DYNFLOW_SSL_CERT .*no such file/,
      /DYNFLOW_SSL_KEY .*required together with DYNFLOW_SSL_CERT/,
      /DYNFLOW_DATABSE_URL.*did you mean DYNFLOW_DATABASE_URL/,
      /DYNFLOW_REMOTE_EXECUTION_HOST_KEY_POLICY .*accept-new.*got "maybe"/,
      /DYNFLOW_RETENTION .*got "soon"/,
    ]) {
      expect(text).toMatch(line);
    }
  });

  test('with what does not go together, and with plugins that are none', async () => {
    const text = await refusal({
      // In memory, as it is unless said otherwise.
      DYNFLOW_NATS_URL: 'nats://127.0.0.1:4222',
      DYNFLOW_LISTEN: '0.0.0.0',
      DYNFLOW_PLUGINS: 'no-such-plugin,commander',
    });
    expect(text).toMatch(/DYNFLOW_DATABASE_URL .*expected sqlite:.*DYNFLOW_NATS_URL is set/);
    expect(text).toMatch(/DYNFLOW_LISTEN .*needs DYNFLOW_SSL_CERT/);
    expect(text).toMatch(/DYNFLOW_PLUGINS .*no-such-plugin.*no package of that name is installed/);
    expect(text).toMatch(/DYNFLOW_PLUGINS .*commander.*exports no `plugin`/);
  });

  test('with files that are not there or hold something else', async () => {
    const broken = join(dir, 'broken');
    await writeFile(broken, ': [ this is\n\tnothing');
    expect(await refusal({ DYNFLOW_CONFIG: join(dir, 'no.yml') })).toMatch(/DYNFLOW_CONFIG.*cannot be read/);
    expect(await refusal({ DYNFLOW_CONFIG: broken })).toContain(broken);
    expect(await refusal({ DYNFLOW_DATABASE_URL: `sqlite:${dir}/no/such.sqlite` })).toMatch(/DYNFLOW_DATABASE_URL.*no directory/);
    expect(await refusal({ DYNFLOW_DATABASE_URL: `sqlite:${broken}` })).toContain(
      `the database cannot be used: ${broken}: file is not a database`,
    );
    const keyRing = await refusal({ DYNFLOW_PORT: '0', DYNFLOW_LOG_LEVEL: 'error', DYNFLOW_SECRET_KEYS_FILE: broken });
    expect(keyRing).toContain(`DYNFLOW_SECRET_KEYS_FILE ${broken}: the file is not JSON`);
    // It may hold a key.
    expect(keyRing).not.toContain('this is');
  });

  test('at a port that is taken, and says what to do', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const env = { DYNFLOW_PORT: String(port), DYNFLOW_PLUGINS: 'dynflow_foreman_tasks' };
    const { exitCode, stderr } = await runToEnd('gateway', [], { env });
    other.close();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`${port}.*DYNFLOW_PORT`));
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
