import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makeAccount } from './account.js';
import type { AccountOptions } from './account.js';
import { freePort } from './free-port.js';
import { killChildrenOf } from './processes.js';
import { keyParts, makeSshKeyPair, writePrivateKey } from './ssh-keys.js';
import type { SshKeyPair } from './ssh-keys.js';

/** Where Debian's package `openssh-server` puts it; its own manual demands the full path. */
const SSHD = '/usr/sbin/sshd';
const PORT_ATTEMPTS = 5;

export interface SshdOptions {
  /** `127.0.0.1` (default) or `::1`. */
  readonly host?: string;
  /** Default: free. */
  readonly port?: number;
  /** More lines for `sshd_config`; they come first, and sshd takes the first value of each key. */
  readonly config?: readonly string[];
  /** Logs in as a throwaway account instead of the one that runs this process. Root only. */
  readonly account?: AccountOptions;
  /** Lets this key in as well; without it a key pair is made. */
  readonly clientKey?: SshKeyPair;
  /** The host key. Default: a new ed25519 key. */
  readonly hostKey?: SshKeyPair;
}

/** A running SSH server on loopback, real or the one of `startSshHost`. */
export interface SshServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The private key that may log in. */
  readonly clientKeyPath: string;
  readonly clientKey: SshKeyPair;
  readonly hostKey: { readonly type: string; readonly key: string };
  /** Scratch space of this server, removed by `stop`. */
  readonly dir: string;
  /** Ends the server and its sessions, and removes what was made for it. Idempotent. */
  stop(): Promise<void>;
}

export interface Sshd extends SshServer {
  /** What sshd logged so far. */
  log(): string;
  /** Cuts all connections as a broken network would; the server and what runs in the sessions go on. */
  dropConnections(): Promise<void>;
}

/** True where a real sshd is installed. */
export async function hasSshd(): Promise<boolean> {
  return access(SSHD, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Starts OpenSSH's sshd on a loopback port, with keys of its own, and waits until it takes connections.
 *
 * @throws Error naming the Debian package when there is none, and with sshd's own words when it does not start.
 */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  if (!(await hasSshd())) throw new Error(`no ${SSHD} here: install the Debian package openssh-server (with sudo and acl for its tests)`);
  const isRoot = process.getuid?.() === 0;
  // sshd refuses to start as root without its empty directory, which the service's unit would make.
  if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const dir = await mkdtemp(join(tmpdir(), 'dynflow-sshd-'));
  // sshd reads the authorized keys with the rights of the account that logs in.
  await chmod(dir, 0o711);
  const account = options.account === undefined ? undefined : await makeAccount(options.account);
  const removeAll = async (): Promise<void> => {
    await account?.remove();
    await rm(dir, { recursive: true, force: true });
  };
  let stopped: Promise<void> | undefined;
  try {
    const hostKey = options.hostKey ?? makeSshKeyPair();
    const clientKey = options.clientKey ?? makeSshKeyPair();
    const clientKeyPath = join(dir, 'client_key');
    await writePrivateKey(clientKeyPath, clientKey);
    await writePrivateKey(join(dir, 'host_key'), hostKey);
    const host = options.host ?? '127.0.0.1';
    const running = await launch(dir, host, options, clientKey);
    return {
      host,
      port: running.port,
      user: account?.name ?? userInfo().username,
      clientKeyPath,
      clientKey,
      hostKey: keyParts(hostKey.publicKey),
      dir,
      log: running.log,
      dropConnections: () => killChildrenOf(running.child, 'sshd'),
      stop: () => (stopped ??= stop(running.child).then(removeAll)),
    };
  } catch (error) {
    await removeAll();
    throw error;
  }
}

async function launch(
  dir: string,
  host: string,
  options: SshdOptions,
  clientKey: SshKeyPair,
): Promise<{ child: ChildProcess; port: number; log: () => string }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort(host));
    await writeFile(
      join(dir, 'sshd_config'),
      [
        ...(options.config ?? []),
        `ListenAddress ${host.includes(':') ? `[${host}]` : host}:${port}`,
        `HostKey ${join(dir, 'host_key')}`,
        `AuthorizedKeysFile ${join(dir, 'authorized_keys')}`,
        `PidFile ${join(dir, 'sshd.pid')}`,
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication yes',
        'KbdInteractiveAuthentication no',
        'PermitRootLogin yes',
        'MaxStartups 200:30:400',
        'LogLevel VERBOSE',
        'UseDNS no',
        'PrintMotd no',
        'Subsystem sftp internal-sftp',
        // bash takes itself for a shell within a shell and leaves ~/.bashrc alone, which may be slow and is not what is tested.
        'SetEnv SHLVL=1',
        '',
      ].join('\n'),
    );
    await rm(join(dir, 'sshd.pid'), { force: true });
    await writeFile(join(dir, 'authorized_keys'), `${clientKey.publicKey.trim()}\n`, { mode: 0o644 });
    const command = [SSHD, '-D', '-e', '-f', join(dir, 'sshd_config')];
    // The kernel ends it with us, also when a test runner is killed and can tidy up nothing.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-200_000)));
    const ended = once(child, 'exit').then(() => false);
    if (await Promise.race([isServing(dir, host, port, child), ended])) return { child, port, log: () => log };
    const isTaken = /address already in use/i.test(log) && options.port === undefined;
    if (!isTaken || attempt >= PORT_ATTEMPTS) throw new Error(`sshd did not start: ${log.trim() || 'no reason given'}`);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const isGone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  await killChildrenOf(child);
  child.kill('SIGKILL');
  await isGone;
}

/** Tries until the server, which has written its process id by then, greets; false when its process ends first. */
async function isServing(dir: string, host: string, port: number, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const hasStarted = await access(join(dir, 'sshd.pid')).then(
      () => true,
      () => false,
    );
    if (hasStarted && (await greets(host, port))) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

function greets(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
  });
}
