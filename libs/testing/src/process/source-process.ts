import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process that runs `main` of a module, and what it has written so far. */
export interface SourceProcess {
  readonly process: ChildProcess;
  /** Lines of its standard output. After the exit: all of them. */
  readonly lines: readonly string[];
  /** Resolved when it has written so many lines. @throws Error with its standard error if it ends before. */
  untilLines(count: number): Promise<void>;
  /** Resolved when it has written such a line. @throws Error with what it wrote if it ends before. */
  untilLine(pattern: RegExp): Promise<void>;
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Resolved at its end with its exit code, null after a signal. */
  readonly ended: Promise<number | null>;
}

/** Runs the exported `main(arguments)` of a TypeScript module in a process of its own, without a build. */
export function startFromSource(module: string, args: readonly string[] = []): SourceProcess {
  const runner = fileURLToPath(new URL('./run-source.mjs', import.meta.url));
  const child = spawn(process.execPath, [runner, module, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let errors = '';
  let isOver = false;
  const output = createInterface(child.stdout);
  output.on('line', (line) => {
    lines.push(line);
    waiting.forEach((check) => check());
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = Promise.all([once(child, 'close'), once(output, 'close')]).then(() => {
    isOver = true;
    waiting.forEach((check) => check());
    return child.exitCode;
  });
  const until = async (isReached: () => boolean, what: string): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (isReached()) {
          resolve();
        } else if (isOver) {
          reject(new Error(`it ended after ${lines.length} lines, before ${what}: ${lines.slice(-20).join('\n')}${errors}`));
        } else {
          return;
        }
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  return {
    process: child,
    lines,
    ended,
    untilLines: (count) => until(() => lines.length >= count, `it wrote ${count}`),
    untilLine: (pattern) => until(() => lines.some((line) => pattern.test(line)), String(pattern)),
    kill: async (signal) => {
      child.kill(signal);
      await ended;
    },
  };
}
