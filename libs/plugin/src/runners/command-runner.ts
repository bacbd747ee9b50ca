import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { messageOf } from '@dynflow/kernel';
import { CancelRequested, type RunContext } from '../action.js';

/** A local program to run. */
export interface CommandOptions {
  command: string;
  args?: readonly string[];
  cwd?: string;
  /** The whole environment of the program; without it, that of this process. */
  env?: Record<string, string>;
  /** What the program reads; without it, nothing. */
  stdin?: string;
  /** After this it is told to end. */
  timeoutMs?: number;
  /** Between being told to end (SIGTERM) and being ended (SIGKILL). Default 10,000. */
  graceMs?: number;
}

/** How a program ended. */
export interface CommandResult {
  /** Its exit status; 128 + n after signal n; 127 when there is no such program, 126 when it cannot be executed. */
  exitStatus: number;
  isCancelled: boolean;
  isTimedOut: boolean;
}

/** What {@link runCommand} needs of a run. */
export type CommandContext = Pick<RunContext, 'write' | 'signal'>;

const DEFAULT_GRACE_MS = 10_000;
/** Somebody whom the program left behind may keep its pipes open for ever. So long they may stay silent. */
const ORPHAN_SILENCE_MS = 1_000;

/**
 * Runs a program in a process group of its own and writes its output to the step as it comes, `stdout` and `stderr` apart, never cut
 * inside a character. A step whose output is taken slowly slows the program down.
 *
 * Cancel and timeout end the whole group: SIGTERM, then SIGKILL after the grace; a cancel by force kills at once. A program that cannot
 * be started is no error: it ends with 127 or 126 and a `debug` line that says why.
 *
 * @throws what `context.write` throws; the program is killed then.
 */
export async function runCommand(context: CommandContext, options: CommandOptions): Promise<CommandResult> {
  const { signal } = context;
  if (signal.aborted) {
    return { exitStatus: 128 + constants.signals.SIGTERM, isCancelled: true, isTimedOut: false };
  }
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.args ?? [], {
      detached: true,
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    await started(child);
  } catch (error) {
    return notStarted(context, options, error);
  }
  const group = new ProcessGroup(child, options.graceMs ?? DEFAULT_GRACE_MS);
  const onAbort = (): void => group.end(signal.reason instanceof CancelRequested && signal.reason.isForced);
  let isTimedOut = false;
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true;
          context.write('debug', 'Timeout for execution passed, trying to stop the job\n').catch(() => undefined);
          group.end(false);
        }, options.timeoutMs);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) {
    onAbort();
  }
  try {
    feed(child, options.stdin);
    const exited = exitOf(child);
    const orphans = new OrphanWatch(child);
    await Promise.all([
      copy(context, 'stdout', child.stdout, orphans),
      copy(context, 'stderr', child.stderr, orphans),
      exited.then(() => orphans.start()),
    ]);
    orphans.stop();
    return { exitStatus: await exited, isCancelled: signal.aborted, isTimedOut };
  } catch (error) {
    group.kill();
    throw error;
  } finally {
    clearTimeout(timer);
    group.done();
    signal.removeEventListener('abort', onAbort);
  }
}

async function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

async function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    const settle = (code: number | null, signal: NodeJS.Signals | null): void =>
      resolve(code ?? (signal === null ? 255 : 128 + constants.signals[signal]));
    if (child.exitCode !== null || child.signalCode !== null) {
      settle(child.exitCode, child.signalCode);
    } else {
      child.once('exit', settle);
    }
  });
}

async function notStarted(context: CommandContext, options: CommandOptions, error: unknown): Promise<CommandResult> {
  const code = (error as NodeJS.ErrnoException).code;
  const place = options.cwd === undefined ? '' : ` (in ${options.cwd})`;
  const reason =
    code === 'ENOENT' ? `no such program or directory${place}` : code === 'EACCES' ? 'it may not be executed' : messageOf(error);
  await context.write('debug', `Error running command '${options.command}': ${reason}\n`);
  return { exitStatus: code === 'ENOENT' ? 127 : 126, isCancelled: false, isTimedOut: false };
}

function feed(child: ChildProcess, stdin: string | undefined): void {
  // A program that does not read its input is not at fault.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(stdin);
}

async function copy(context: CommandContext, kind: 'stdout' | 'stderr', stream: Readable | null, orphans: OrphanWatch): Promise<void> {
  if (stream === null) {
    return;
  }
  const decoder = new StringDecoder('utf8');
  try {
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      orphans.hold();
      const text = decoder.write(bytes);
      if (text !== '') {
        await context.write(kind, text);
      }
      orphans.release();
    }
  } catch (error) {
    if (!orphans.hasGivenUp) {
      throw error;
    }
  }
  const rest = decoder.end();
  if (rest !== '') {
    await context.write(kind, rest);
  }
}

/** After the program's end: closes pipes that others keep open and say nothing on. */
class OrphanWatch {
  hasGivenUp = false;
  #isStarted = false;
  #held = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly child: ChildProcess) {}

  start(): void {
    this.#isStarted = true;
    this.#arm();
  }

  /** Output is being handed on: that may take as long as it likes. */
  hold(): void {
    this.#held += 1;
    clearTimeout(this.#timer);
  }

  release(): void {
    this.#held -= 1;
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#isStarted && this.#held === 0) {
      this.#timer = setTimeout(() => {
        this.hasGivenUp = true;
        this.child.stdout?.destroy();
        this.child.stderr?.destroy();
      }, ORPHAN_SILENCE_MS);
    }
  }
}

/** Ends a program with all that it started. */
class ProcessGroup {
  #timer: NodeJS.Timeout | undefined;
  #isKilled = false;
  #isEnding = false;

  constructor(
    private readonly child: ChildProcess,
    private readonly graceMs: number,
  ) {}

  end(isForced: boolean): void {
    if (isForced || this.graceMs === 0) {
      this.kill();
    } else if (!this.#isEnding && !this.#isKilled) {
      this.#isEnding = true;
      this.#send('SIGTERM');
      this.#timer = setTimeout(() => this.kill(), this.graceMs);
    }
  }

  kill(): void {
    this.#isKilled = true;
    this.#send('SIGKILL');
  }

  /** The program itself has ended. What it started is not left behind if it was to be ended with it. */
  done(): void {
    clearTimeout(this.#timer);
    if (this.#isEnding && !this.#isKilled) {
      this.kill();
    }
  }

  #send(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.child.pid === undefined) {
      return;
    }
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // The whole group is gone already, which is what was wanted.
    }
  }
}
