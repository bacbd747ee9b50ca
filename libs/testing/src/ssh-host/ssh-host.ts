import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import type { AuthContext, Connection, ServerChannel } from 'ssh2';
import type { SshServer } from '../sshd/sshd.js';
import { keyParts, makeSshKeyPair, writePrivateKey } from '../sshd/ssh-keys.js';
import type { SshKeyPair } from '../sshd/ssh-keys.js';
import { RunningCommand } from './running-command.js';

export interface SshHostOptions {
  /** `127.0.0.1` (default) or `::1`. */
  readonly host?: string;
  /** Default: free. */
  readonly port?: number;
  /** The name that may log in; commands run as the current account whatever it is. Default: that account's name. */
  readonly user?: string;
  /** Lets this password in as well. */
  readonly password?: string;
  readonly clientKey?: SshKeyPair;
  readonly hostKey?: SshKeyPair;
}

/**
 * Starts an SSH server that really runs commands, for machines without an sshd: key login, sessions with separate stdout and stderr,
 * exit status and signal, a home directory of its own. A requested terminal is granted but not made. No root needed.
 */
export async function startSshHost(options: SshHostOptions = {}): Promise<SshServer> {
  const dir = await mkdtemp(join(tmpdir(), 'dynflow-ssh-host-'));
  const clientKey = options.clientKey ?? makeSshKeyPair();
  const hostKey = options.hostKey ?? makeSshKeyPair();
  const clientKeyPath = join(dir, 'client_key');
  await writePrivateKey(clientKeyPath, clientKey);
  const host = options.host ?? '127.0.0.1';
  const user = options.user ?? userInfo().username;
  const connections = new Set<Connection>();
  const commands = new Set<RunningCommand>();
  const allowedKey = Buffer.from(keyParts(clientKey.publicKey).key, 'base64');

  const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
    connections.add(connection);
    // A client that vanishes is nothing to report.
    connection.on('error', () => undefined);
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (login) => answer(login, { user, password: options.password, allowedKey }));
    connection.on('session', (accept) => {
      const session = accept();
      session.on('pty', (acceptPty) => acceptPty?.());
      session.on('exec', (acceptExec, _reject, { command }) => {
        const running = new RunningCommand(command, acceptExec() as ServerChannel, dir);
        commands.add(running);
        session.on('signal', (acceptSignal, _rejectSignal, { name }) => {
          running.signal(`SIG${name}` as NodeJS.Signals);
          acceptSignal?.();
        });
        void running.done.then(() => commands.delete(running));
      });
    });
  });
  // A listener of our own, because ssh2's does not set TCP_NODELAY, and each answer would wait for a delayed acknowledgement.
  const listener = createServer({ noDelay: true }, (socket) => server.injectSocket(socket));
  listener.listen(options.port ?? 0, host);
  await once(listener, 'listening');
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    for (const running of commands) running.kill();
    for (const connection of connections) connection.end();
    await new Promise<void>((resolve) => listener.close(() => resolve()));
    await rm(dir, { recursive: true, force: true });
  };
  return {
    host,
    port: (listener.address() as AddressInfo).port,
    user,
    clientKeyPath,
    clientKey,
    hostKey: keyParts(hostKey.publicKey),
    dir,
    stop: () => (stopped ??= stop()),
  };
}

function answer(login: AuthContext, allowed: { user: string; password: string | undefined; allowedKey: Buffer }): void {
  const methods: ('publickey' | 'password')[] = allowed.password === undefined ? ['publickey'] : ['publickey', 'password'];
  const isUser = login.username === allowed.user;
  if (isUser && login.method === 'password' && allowed.password !== undefined && login.password === allowed.password) return login.accept();
  if (isUser && login.method === 'publickey' && login.key.data.equals(allowed.allowedKey)) {
    // Without a signature the client only asks whether the key would do.
    if (login.signature === undefined || login.blob === undefined) return login.accept();
    const key = ssh2.utils.parseKey(login.key.data);
    if (!(key instanceof Error) && !Array.isArray(key) && key.verify(login.blob, login.signature, login.hashAlgo)) return login.accept();
  }
  return login.reject(methods);
}
