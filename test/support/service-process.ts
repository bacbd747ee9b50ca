import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WaitTimedOutError } from '@dynflow/testing';

/** The environment of a program; nothing but what is said here and the bare necessities is handed on. */
export type Environment = Readonly<Record<string, string>>;

/** The programs that are tested as they are shipped: built, by their files in `dist`. */
export const programs = {
  gateway: 'apps/dynflow_api/dist/main.js',
  remoteExecution: 'apps/dynflow_foreman_remote_execution/dist/main.js',
} as const;
export type Program = keyof typeof programs;

export const repository = join(import.meta.dirname, '..', '..');

/** A program of this repository in a process of its own. */
export interface ServiceProcess {
  readonly pid: number;
  /** Everything that it wrote so far, to both outputs. */
  log(): string;
  /** The lines of its log that are JSON, parsed. */
  records(): LogRecord[];
  /** Resolves with the first match in what it wrote, at once if it is there. @throws Error if it ends first or takes too long. */
  untilLog(pattern: RegExp, options: { timeoutMs: number }): Promise<RegExpExecArray>;
  /** @throws Error if it has ended, wrote a stack trace, or logged an error that nobody allowed. */
  expectSound(): void;
  /** SIGTERM, and waits for the end. Idempotent. @throws Error when it does not end with 0, or is not sound. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. Idempotent. @throws Error when it had ended by itself or was not sound. */
  kill(): Promise<void>;
}

export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

export interface ProcessOptions {
  readonly env?: Environment;
  /** Lines of level `error` that belong to what is tested; any other is a fault. */
  readonly allowedErrors?: readonly RegExp[];
}

const stopWithinMs = 60_000;
const stackTrace = /(?:\\n|\n)\s+at [^\n]*?:\d+:\d+|Unhandled|node:internal/;

/** Starts a program of ours; what tells that it is ready is the caller's business. */
export function startService(program: Program, options: ProcessOptions = {}): ServiceProcess {
  return startProcess(program, [process.execPath, programFile(program)], options);
}

/** The same for any command line; `program` is what errors call it. */
export function startProcess(program: string, [command = '', ...args]: readonly string[], options: ProcessOptions = {}): ServiceProcess {
  const child = spawn(command, args, { env: environment(options.env), stdio: ['ignore', 'pipe', 'pipe'] });
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  let text = '';
  let isOver = false;
  let isToldToEnd = false;
  const waiting = new Set<() => void>();
  const look = (): void => waiting.forEach((check) => check());
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      look();
    });
  }
  const closed = once(child, 'close').then(() => {
    process.off('exit', killWithUs);
    isOver = true;
    look();
  });
  const records = (): LogRecord[] => text.split('\n').flatMap(recordOf);

  const faults = (): string[] => [
    ...(isOver && !isToldToEnd ? [`it ended by itself with ${child.exitCode ?? child.signalCode}`] : []),
    ...(stackTrace.test(text) ? ['it wrote a stack trace'] : []),
    ...records()
      .filter(({ level }) => level === 'error' || level === 'fatal')
      .map((record) => JSON.stringify(record))
      .filter((line) => !(options.allowedErrors ?? []).some((allowed) => allowed.test(line)))
      .map((line) => `it logged an error: ${line}`),
  ];
  const expectSound = (): void => {
    const found = faults();
    if (found.length > 0) {
      throw new Error(`${program}: ${found.join('; ')}\n${text.slice(-8_000)}`);
    }
  };
  const end = async (signal: NodeJS.Signals, isExpected: () => boolean): Promise<void> => {
    if (isToldToEnd) {
      return closed;
    }
    expectSound();
    isToldToEnd = true;
    child.kill(signal);
    // A program that does not stop must not hold up the tests; that it had to be killed is then what fails.
    const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
    await closed;
    clearTimeout(timer);
    if (!isExpected()) {
      throw new Error(`${program}: after ${signal} it ended with ${child.exitCode ?? child.signalCode}\n${text.slice(-8_000)}`);
    }
    expectSound();
  };

  return {
    pid: child.pid ?? 0,
    log: () => text,
    records,
    expectSound,
    untilLog: (pattern, { timeoutMs }) =>
      new Promise((resolve, reject) => {
        const settle = (act: () => void): void => {
          waiting.delete(check);
          clearTimeout(timer);
          act();
        };
        const check = (): void => {
          const match = pattern.exec(text);
          if (match !== null) {
            settle(() => resolve(match));
          } else if (isOver) {
            settle(() => reject(new Error(`${program} ended without writing ${pattern}:\n${text}`)));
          }
        };
        const timer = setTimeout(
          () => settle(() => reject(new WaitTimedOutError(`${pattern} in the log of ${program}`, timeoutMs, text.slice(-4_000)))),
          timeoutMs,
        );
        waiting.add(check);
        check();
      }),
    stop: () => end('SIGTERM', () => child.exitCode === 0),
    kill: () => end('SIGKILL', () => child.signalCode === 'SIGKILL'),
  };
}

/** What a program that ended by itself left behind. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that is expected to end by itself; it is killed after `timeoutMs`, which leaves `exitCode` null. */
export async function runToEnd(
  program: Program,
  args: readonly string[],
  options: { env?: Environment; timeoutMs?: number } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [programFile(program), ...args], {
    env: environment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL',
  });
  const written = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (written.stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (written.stderr += piece));
  await once(child, 'close');
  return { exitCode: child.exitCode, ...written };
}

function programFile(program: Program): string {
  const file = join(repository, programs[program]);
  if (!existsSync(file)) {
    throw new Error(`${programs[program]} is not built: run "npm run build" first`);
  }
  return file;
}

/** No setting of whoever runs the tests gets into a program that is tested. */
function environment(env: Environment = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), DYNFLOW_LOG_FORMAT: 'json', ...env };
}

function recordOf(line: string): LogRecord[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'level' in value && 'msg' in value ? [value as LogRecord] : [];
  } catch {
    return [];
  }
}
