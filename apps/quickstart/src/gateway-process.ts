import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { exchange } from '@dynflow/testing';
import { QuickstartError } from './quickstart-error.js';

export interface GatewayProcessOptions {
  /** The built gateway's main.js. */
  readonly program: string;
  readonly host: string;
  readonly port: number;
  /** What the gateway inherits, without settings of ours in it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Settings, `DYNFLOW_…`. */
  readonly settings: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly signal: AbortSignal;
}

export interface GatewayProcess {
  readonly url: string;
  /**
   * Waits for work that needs the gateway.
   *
   * @throws {QuickstartError} with the end of its log when the gateway ends meanwhile without having been told to.
   */
  whileRunning<T>(work: Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

const readyLimitMs = 60_000;
const stopLimitMs = 10_000;
const pollMs = 50;
const endNoticeMs = 300;
const logTailLines = 15;

/**
 * Starts the gateway and waits until it says that it is ready.
 *
 * @throws {QuickstartError} with the end of its log when it ends instead, or is not ready within a minute.
 */
export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const log = openSync(options.logFile, 'a');
  // A process group of its own: Ctrl-C in a terminal goes to whole groups, but it is for us to say when the gateway ends.
  const child = spawn(process.execPath, ['--import', import.meta.resolve('./end-with-parent.js'), options.program], {
    // The channel is for `end-with-parent`, nothing is said over it.
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
    env: { ...options.env, ...options.settings },
  });
  closeSync(log);
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  child.once('exit', () => process.off('exit', killWithUs));

  let isStopping = false;
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (!isStopping) reject(new QuickstartError(`The gateway ended (${signal ?? `exit status ${code}`}).\n${tail(options.logFile)}`));
    });
  });
  failed.catch(() => undefined);
  const stop = (): Promise<void> => {
    isStopping = true;
    return end(child);
  };
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
  try {
    await Promise.race([untilReady(url, options), failed]);
    return { url, whileRunning: (work) => whileRunning(work, failed), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(url: string, { signal, logFile }: GatewayProcessOptions): Promise<void> {
  for (const until = Date.now() + readyLimitMs; Date.now() < until;) {
    signal.throwIfAborted();
    const answer = await exchange(`${url}/readyz`, { method: 'GET', timeoutMs: 5_000 }).catch(() => undefined);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new QuickstartError(`The gateway was not ready within ${readyLimitMs / 1000} s.\n${tail(logFile)}`);
}

async function whileRunning<T>(work: Promise<T>, failed: Promise<never>): Promise<T> {
  try {
    return await Promise.race([work, failed]);
  } catch (error) {
    // A connection that breaks may be the first thing that is seen of a gateway that has ended.
    const moment = new Promise((resolve) => setTimeout(resolve, endNoticeMs));
    await Promise.race([moment, failed]);
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const hasEnded = once(child, 'exit');
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
  await hasEnded;
  clearTimeout(limit);
}

function tail(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  return ['The end of its log:', ...lines.slice(-logTailLines).map((line) => `  ${line}`)].join('\n');
}
