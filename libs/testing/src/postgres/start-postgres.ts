import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { freePort } from '../sshd/free-port.js';

/** A real PostgreSQL server on a loopback port, its cluster in a directory of its own. */
export interface PostgresServer {
  /** Makes a database, empty or a copy of another that nobody has open, and gives its URL. */
  createDatabase(copyOf?: string): Promise<string>;
  /** Ends it at once, as a crash would; the cluster stays. */
  crash(): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
  /** Ends it and removes the cluster. */
  stop(): Promise<void>;
}

const run = promisify(execFile);
const READY = /database system is ready to accept connections/;

/** PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes. */
interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

export interface PostgresOptions {
  /** Waits for the disk at each commit, as a server in use does. Default: it does not, since a test's data may be lost with the machine. */
  readonly isDurable?: boolean;
}

/** Resolved when it takes connections. @throws Error that says what is missing, or with the server's log. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const binaries = await findBinaries();
  const account = await findAccount();
  const directory = await mkdtemp(join(tmpdir(), 'dynflow-postgres-'));
  if (account.uid !== undefined && account.gid !== undefined) {
    await chown(directory, account.uid, account.gid);
  }
  const data = join(directory, 'data');
  await run(join(binaries, 'initdb'), ['-D', data, '-U', 'dynflow', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...account,
    cwd: directory,
  });
  const port = await freePort();
  const place = { data, directory, port, account, isDurable: options.isDurable ?? false };
  let server = await launch(binaries, place);
  let databases = 0;
  return {
    createDatabase: async (copyOf) => {
      databases += 1;
      const name = `test_${databases}`;
      const template = copyOf === undefined ? [] : ['-T', copyOf.slice(copyOf.lastIndexOf('/') + 1)];
      await run(join(binaries, 'createdb'), ['-h', '127.0.0.1', '-p', String(port), '-U', 'dynflow', ...template, name]);
      return `postgres://dynflow@127.0.0.1:${port}/${name}`;
    },
    crash: async () => end(server, 'SIGQUIT'),
    restart: async () => {
      server = await launch(binaries, place);
    },
    stop: async () => {
      await end(server, 'SIGINT');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(
  binaries: string,
  { data, directory, port, account, isDurable }: { data: string; directory: string; port: number; account: Account; isDurable: boolean },
): Promise<ChildProcess> {
  const fsync = isDurable ? 'on' : 'off';
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: directory, fsync, max_connections: 200 };
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      ...account,
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const log: string[] = [];
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`postgres did not start:\n${log.join('\n')}`)));
    createInterface(server.stderr).on('line', (line) => {
      log.push(line);
      if (READY.test(line)) {
        resolve();
      }
    });
  });
  return server;
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  }
}

async function findBinaries(): Promise<string> {
  const base = '/usr/lib/postgresql';
  const versions = await readdir(base).catch(() => []);
  const newest = versions
    .map(Number)
    .filter(Number.isInteger)
    .sort((a, b) => b - a)[0];
  if (newest === undefined) {
    throw new Error(`no PostgreSQL server below ${base}; on Debian: apt-get install postgresql`);
  }
  return join(base, String(newest), 'bin');
}

async function findAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) {
    return {};
  }
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (option) => Number((await run('id', [option, 'postgres'])).stdout)));
  return uid === undefined || gid === undefined ? {} : { uid, gid };
}
