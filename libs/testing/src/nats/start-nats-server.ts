import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findNatsServer } from './find-nats-server.js';

export interface NatsServerOptions {
  /** Written to disk before it is confirmed, so that a kill loses nothing. */
  readonly syncAlways?: boolean;
  /** More lines of configuration, such as users and their permissions. */
  readonly config?: string;
  /** A whole configuration of its own instead, as `natsServerConfig` writes it; `listen` has to be a loopback address. */
  readonly configFile?: string;
  /** False: started only by `restart`; the port is chosen and stays free until then. */
  readonly isStarted?: boolean;
}

/** A real nats-server with JetStream on a loopback port, its files in a directory of its own. */
export interface NatsServer {
  /** `nats://127.0.0.1:<port>`; the same after a restart. */
  readonly url: string;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
  /** kill -9; the files stay. */
  kill(): Promise<void>;
  /** Starts it again on the same port and files, after ending it properly where it runs; `config` replaces the additional lines. */
  restart(config?: string): Promise<void>;
}

const LISTENING = /Listening for client connections on [^ ]*:(\d+)/;
const READY = /Server is ready/;

/** Resolved when it takes connections. @throws Error with its log when it does not start. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const command = findNatsServer();
  const directory = await mkdtemp(join(tmpdir(), 'dynflow-nats-'));
  let additional = options.config ?? '';
  let running: { readonly process: ChildProcess; readonly port: number } | undefined;
  // -1 lets the server take a free port; later starts ask for the same one.
  let port = -1;

  const start = async (): Promise<void> => {
    const file = join(directory, 'nats.conf');
    await writeFile(file, configuration({ directory, port, additional, syncAlways: options.syncAlways ?? false }));
    running = await launch(command, options.configFile ?? file);
    port = running.port;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const process = running?.process;
    running = undefined;
    if (process !== undefined && process.exitCode === null && process.signalCode === null) {
      const exited = once(process, 'exit');
      process.kill(signal);
      await exited;
    }
  };

  await start();
  if (options.isStarted === false) {
    await end('SIGTERM');
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    stop: async () => {
      await end('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
    kill: () => end('SIGKILL'),
    restart: async (config) => {
      additional = config ?? additional;
      await end('SIGTERM');
      await start();
    },
  };
}

function configuration(parts: { directory: string; port: number; additional: string; syncAlways: boolean }): string {
  return [
    `listen: "127.0.0.1:${parts.port}"`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(join(parts.directory, 'jetstream'))}`,
    ...(parts.syncAlways ? ['  sync_interval: always'] : []),
    '}',
    parts.additional,
    '',
  ].join('\n');
}

async function launch(command: string, configFile: string): Promise<{ process: ChildProcess; port: number }> {
  const child = spawn(command, ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  // A test run that ends early must not leave servers behind.
  const killOnExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killOnExit);
  child.once('exit', () => process.removeListener('exit', killOnExit));
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    let port = 0;
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`nats-server did not start:\n${lines.join('\n')}`)));
    // The log goes on being read after the start: a full pipe would stop the server.
    createInterface({ input: child.stderr }).on('line', (line) => {
      port = Number(LISTENING.exec(line)?.[1] ?? port);
      if (lines.length < 200) {
        lines.push(line);
      }
      if (READY.test(line)) {
        resolve({ process: child, port });
      }
    });
  });
}
