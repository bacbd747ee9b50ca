import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSshKeyPair, startSshHost, startSshd, writePrivateKey } from '@dynflow/testing';
import type { SshServer, Sshd } from '@dynflow/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshError } from './errors.js';
import { MemoryHostKeyStore } from './host-keys.js';
import { PrivateKeyFile } from './private-key.js';
import { Ssh2Transport } from './ssh2-transport.js';
import type { Ssh2TransportOptions } from './ssh2-transport.js';
import type { SshConnection, SshTarget } from './transport.js';

const PASSWORD = 'p4ss w0rd';
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rex-spec-'));
});
afterAll(() => rm(dir, { recursive: true }));

const transportOf = (options: Partial<Ssh2TransportOptions>): Ssh2Transport =>
  new Ssh2Transport({ hostKeys: new MemoryHostKeyStore(), ...options });

async function outputOf(connection: SshConnection, command: string): Promise<string> {
  const channel = await connection.exec(command);
  const chunks: Buffer[] = [];
  channel.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  channel.stderr.resume();
  await channel.closed;
  return Buffer.concat(chunks).toString();
}

/** Connects, says who one is, disconnects. */
async function whoAmI(transport: Ssh2Transport, target: SshTarget): Promise<string> {
  const connection = await transport.connect(target);
  try {
    return (await outputOf(connection, 'id -un')).trim();
  } finally {
    await connection.close();
  }
}

async function refusalOf(transport: Ssh2Transport, target: SshTarget, signal?: AbortSignal): Promise<SshError> {
  const outcome = await transport.connect(target, signal).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(SshError);
  return outcome as SshError;
}

describe('a host that cannot be reached', () => {
  it.each([
    ['refused', { host: '127.0.0.1', port: 1 }, 'connection to 127.0.0.1:1 refused: nothing listens there (ECONNREFUSED)', true],
    ['refused', { host: '::1', port: 1 }, 'connection to [::1]:1 refused: nothing listens there (ECONNREFUSED)', true],
    ['unresolvable', { host: 'no-such-host.invalid', port: 22 }, /^the name no-such-host\.invalid cannot be resolved/, undefined],
  ] as const)('is %s: %j', async (kind, address, message, isRetryable) => {
    const error = await refusalOf(transportOf({}), { ...address, user: 'root', password: 'x' });
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.retryable).toBe(isRetryable ?? error.context['code'] === 'EAI_AGAIN');
  });

  it('is given up after the connect limit when it does not answer at all', async () => {
    const { port, stop } = await deafListener();
    try {
      const error = await refusalOf(transportOf({ connectTimeoutMs: 400 }), { host: '127.0.0.1', port, user: 'root', password: 'x' });
      expect(error.kind).toBe('no-answer');
      expect(error.message).toBe(`no answer from 127.0.0.1:${port} within 0.4 s (host down, or a firewall drops the packets)`);
    } finally {
      stop();
    }
  });

  it('is told from one that accepts connections but speaks no SSH', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const target = { host: '127.0.0.1', port, user: 'root', password: 'x' };
    const silent = await refusalOf(transportOf({ loginTimeoutMs: 300 }), target);
    expect([silent.kind, silent.message]).toEqual([
      'no-answer',
      `no answer from 127.0.0.1:${port}: it accepted the connection but the SSH handshake did not finish within 0.3 s`,
    ]);
    server.on('connection', (socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const other = await refusalOf(transportOf({}), target);
    expect(['handshake', 'lost']).toContain(other.kind);
    server.close();
  });

  it('is not waited for when the signal has fired, before or meanwhile', async () => {
    const target = { host: '127.0.0.1', port: 1, user: 'root', password: 'x' };
    expect((await refusalOf(transportOf({}), target, AbortSignal.abort())).kind).toBe('cancelled');
  });
});

describe.each([
  ['sshd', () => startSshd({ account: { password: PASSWORD } })],
  ['the ssh2 server', () => startSshHost({ password: PASSWORD })],
] as const)('a login on %s', (_name, start) => {
  let server: SshServer;
  let target: SshTarget;
  let account: string;
  beforeAll(async () => {
    server = await start();
    target = { host: server.host, port: server.port, user: server.user };
    account = server.user;
  });
  afterAll(() => server.stop());

  it('takes the key', async () => {
    expect(await whoAmI(transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) }), target)).toBe(account);
  });

  it('takes the password, also where there is a key that is not known', async () => {
    const path = join(dir, 'stranger');
    await writePrivateKey(path, makeSshKeyPair());
    expect(await whoAmI(transportOf({}), { ...target, password: PASSWORD })).toBe(account);
    expect(await whoAmI(transportOf({ privateKey: new PrivateKeyFile(path) }), { ...target, password: PASSWORD })).toBe(account);
  });

  it('takes the key after a wrong password', async () => {
    const transport = transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) });
    expect(await whoAmI(transport, { ...target, password: 'wr0ng' })).toBe(account);
  });

  it('is refused with the methods that were tried, and without the password', async () => {
    const path = join(dir, 'stranger2');
    await writePrivateKey(path, makeSshKeyPair());
    const error = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(path) }), { ...target, password: 'wr0ng' });
    expect(error.kind).toBe('login-refused');
    expect(error.message).toBe(`login as ${account} refused by ${server.host}:${server.port} (tried: password, publickey)`);
    const none = await refusalOf(transportOf({}), target);
    expect(none.message).toBe(`login as ${account} refused by ${server.host}:${server.port} (no login method was possible)`);
  });

  it('uploads files with their mode, and says why it cannot', async () => {
    const connection = await transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) }).connect(target);
    try {
      const path = (await outputOf(connection, 'mktemp -d')).trim();
      const name = `${path}/a b'c$(id)`;
      const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 256));
      await connection.upload(name, content, 0o640);
      await connection.upload(name, content, 0o500);
      expect(await outputOf(connection, `stat -c '%a %s' ${path}/*; ls ${path} | wc -l`)).toBe('500 300000\n1\n');
      const error = (await connection.upload(`${path}/no/such`, 'x', 0o600).catch((cause: unknown) => cause)) as SshError;
      expect([error.kind, error.message]).toEqual([
        'upload-failed',
        expect.stringMatching(/^cannot write \S+\/no\/such on \S+: .*(nonexistent|No such)/),
      ]);
      await outputOf(connection, `rm -r ${path}`);
    } finally {
      await connection.close();
    }
  });

  it('answers without waiting for delayed acknowledgements', async () => {
    const connection = await transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) }).connect(target);
    const timesMs: number[] = [];
    for (let count = 0; count < 20; count += 1) {
      const startedAt = performance.now();
      await outputOf(connection, 'true');
      timesMs.push(performance.now() - startedAt);
    }
    await connection.close();
    // Without TCP_NODELAY each command takes at least 40 ms, often 80; the quickest of many does not depend on the load.
    expect(Math.min(...timesMs)).toBeLessThan(35);
  });

  it('gives several sessions at once, and none after the end', async () => {
    const connection = await transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) }).connect(target);
    const outputs = await Promise.all([1, 2, 3, 4].map((number) => outputOf(connection, `echo ${number}; sleep 0.1`)));
    expect(outputs).toEqual(['1\n', '2\n', '3\n', '4\n']);
    await connection.close();
    expect(await connection.closed).toBeUndefined();
    expect(((await connection.exec('true').catch((error: unknown) => error)) as SshError).kind).toBe('lost');
    await connection.close();
  });
});

describe('the private key', () => {
  let server: Sshd;
  let target: SshTarget;
  const withPassphrase = makeSshKeyPair({ passphrase: 'open sesame' });
  const path = (): string => join(dir, 'locked');
  beforeAll(async () => {
    server = await startSshd({ clientKey: withPassphrase });
    target = { host: server.host, port: server.port, user: server.user };
    await writePrivateKey(path(), withPassphrase);
  });
  afterAll(() => server.stop());

  it('is opened with its passphrase', async () => {
    expect(await whoAmI(transportOf({ privateKey: new PrivateKeyFile(path()) }), { ...target, keyPassphrase: 'open sesame' })).toBe(
      server.user,
    );
  });

  it.each([
    ['key-passphrase', undefined, (file: string) => `the private key ${file} needs a passphrase, and none was given (key_passphrase)`],
    ['key-passphrase', 'wr0ng', (file: string) => `the passphrase given for the private key ${file} is wrong`],
  ] as const)('is refused: %s, %s', async (kind, keyPassphrase, message) => {
    const error = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(path()) }), {
      ...target,
      ...(keyPassphrase === undefined ? {} : { keyPassphrase }),
    });
    expect([error.kind, error.message]).toEqual([kind, message(path())]);
  });

  it('is refused when it is missing or no key', async () => {
    const missing = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(join(dir, 'nowhere')) }), target);
    expect([missing.kind, missing.message]).toEqual(['key-missing', `the private key ${join(dir, 'nowhere')} cannot be read (ENOENT)`]);
    await writeFile(join(dir, 'junk'), 'no key at all');
    const junk = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(join(dir, 'junk')) }), target);
    expect([junk.kind, junk.message]).toEqual([
      'key-invalid',
      `the private key ${join(dir, 'junk')} cannot be used: Unsupported key format`,
    ]);
    await writeFile(join(dir, 'public'), withPassphrase.publicKey);
    const half = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(join(dir, 'public')) }), target);
    expect([half.kind, half.message]).toEqual(['key-invalid', `${join(dir, 'public')} holds no private key`]);
  });

  it('does not stand in the way of a password, and is named when that is refused', async () => {
    const error = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(path()) }), { ...target, password: 'wr0ng' });
    expect(error.message).toBe(
      `login as ${server.user} refused by ${server.host}:${server.port} (tried: password; the private key ${path()} needs a passphrase, and none was given (key_passphrase))`,
    );
  });

  it('is read again when its file has changed', async () => {
    const file = join(dir, 'rotating');
    const key = new PrivateKeyFile(file);
    await writePrivateKey(file, makeSshKeyPair());
    const first = await key.load();
    expect(await key.load()).toBe(first);
    await rm(file);
    await writePrivateKey(file, makeSshKeyPair({ type: 'rsa' }));
    expect((await key.load()).type).toBe('ssh-rsa');
  });

  it('may be RSA, signed with SHA-2 only', async () => {
    const rsa = makeSshKeyPair({ type: 'rsa' });
    const strict = await startSshd({ clientKey: rsa, config: ['PubkeyAcceptedAlgorithms rsa-sha2-512,rsa-sha2-256'] });
    try {
      const transport = transportOf({ privateKey: new PrivateKeyFile(strict.clientKeyPath) });
      expect(await whoAmI(transport, { host: strict.host, port: strict.port, user: strict.user })).toBe(strict.user);
    } finally {
      await strict.stop();
    }
  });
});

describe('a server with other rules', () => {
  it.each([
    [
      'keyboard-interactive only',
      ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes', 'AuthenticationMethods keyboard-interactive'],
    ],
    ['the key and then the password', ['AuthenticationMethods publickey,password']],
    ['the password and then the key', ['AuthenticationMethods password,publickey']],
    [
      'the key and then keyboard-interactive',
      ['UsePAM yes', 'KbdInteractiveAuthentication yes', 'AuthenticationMethods publickey,keyboard-interactive'],
    ],
  ] as const)('lets in with %s', async (_name, config) => {
    const server = await startSshd({ account: { password: PASSWORD }, config });
    try {
      const transport = transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) });
      const target = { host: server.host, port: server.port, user: server.user };
      expect(await whoAmI(transport, { ...target, password: PASSWORD })).toBe(server.user);
      expect((await refusalOf(transport, { ...target, password: 'wr0ng' })).kind).toBe('login-refused');
    } finally {
      await server.stop();
    }
  });

  it('is not talked to with outdated algorithms', async () => {
    const config = ['KexAlgorithms diffie-hellman-group14-sha1', 'Ciphers aes256-ctr', 'MACs hmac-sha1'];
    const server = await startSshd({ config });
    try {
      const error = await refusalOf(transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) }), {
        host: server.host,
        port: server.port,
        user: server.user,
      });
      expect(error.kind).toBe('handshake');
      expect(error.message).toMatch(/have no safe algorithm in common \(Handshake failed: no matching key exchange algorithm\)/);
    } finally {
      await server.stop();
    }
  });

  it.each([
    ['by staying under its limit', ['MaxStartups 9:100:9']],
    ['by coming back', ['MaxStartups 3:100:3']],
  ])('that turns connections away gets all of them in the end, %s', async (_name, config) => {
    const server = await startSshd({ config, account: {} });
    try {
      const transport = transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) });
      const target = { host: server.host, port: server.port, user: server.user };
      const names = await Promise.all(Array.from({ length: 30 }, () => whoAmI(transport, target)));
      expect(names).toEqual(Array<string>(30).fill(server.user));
    } finally {
      await server.stop();
    }
  });

  it('that always turns connections away is named as such', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).end('Exceeded MaxStartups\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const error = await refusalOf(transportOf({}), { host: '127.0.0.1', port, user: 'root', password: 'x' });
    expect([error.kind, error.message]).toEqual([
      'lost',
      `127.0.0.1:${port} closed the connection before it greeted: it may have too many at once (MaxStartups), or not want us`,
    ]);
    server.close();
  });

  it('may limit the sessions of a connection', async () => {
    const server = await startSshd({ config: ['MaxSessions 1'] });
    try {
      const transport = transportOf({ privateKey: new PrivateKeyFile(server.clientKeyPath) });
      const connection = await transport.connect({ host: server.host, port: server.port, user: server.user });
      const first = await connection.exec('cat');
      const error = (await connection.exec('true').catch((cause: unknown) => cause)) as SshError;
      expect([error.kind, error.retryable]).toEqual(['session-refused', true]);
      first.stdin.end();
      expect(await first.exit).toEqual({ kind: 'status', code: 0 });
      await connection.close();
    } finally {
      await server.stop();
    }
  });
});

/** A port of a process that listens but never accepts, with its queue full: further connections get no answer, as behind a firewall. */
async function deafListener(): Promise<{ port: number; stop(): void }> {
  const program = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const queued = [1, 2].map(() => connect({ host: '127.0.0.1', port: Number(port) }));
  await Promise.all(queued.map((socket) => once(socket, 'connect')));
  for (const socket of queued) socket.on('error', () => undefined);
  return { port: Number(port), stop: () => void child.kill('SIGKILL') };
}
