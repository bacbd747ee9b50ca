import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CancelSwitch } from './cancel-switch.js';
import { runCommand, type CommandContext, type CommandOptions } from './command-runner.js';

/** Takes what a command writes, and tells a test when something has come. */
class Terminal implements CommandContext {
  readonly chunks: { kind: string; text: string }[] = [];
  readonly cancel = new CancelSwitch();
  hold: Promise<void> | undefined;
  #waiting: { text: string; resolve: () => void }[] = [];

  get signal(): AbortSignal {
    return this.cancel.signal;
  }

  readonly write = async (kind: string, text: string): Promise<void> => {
    this.chunks.push({ kind, text });
    for (const waiting of this.#waiting) {
      if (this.text().includes(waiting.text)) {
        waiting.resolve();
      }
    }
    await this.hold;
  };

  text(kind?: string): string {
    return this.chunks
      .filter((chunk) => kind === undefined || chunk.kind === kind)
      .map((chunk) => chunk.text)
      .join('');
  }

  async until(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ text, resolve });
      if (this.text().includes(text)) {
        resolve();
      }
    });
  }
}

const shell = (script: string, options: Partial<CommandOptions> = {}): CommandOptions => ({
  command: 'sh',
  args: ['-c', script],
  ...options,
});

/** A process that has ended and that nobody has asked after yet is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'command-'));
});
afterEach(async () => rm(folder, { recursive: true }));

describe('a command', () => {
  it('ends with its exit status, its output apart by stream', async () => {
    const terminal = new Terminal();
    const result = await runCommand(terminal, shell('echo out; echo err >&2; exit 7'));
    expect(result).toEqual({ exitStatus: 7, isCancelled: false, isTimedOut: false });
    expect(terminal.text('stdout')).toBe('out\n');
    expect(terminal.text('stderr')).toBe('err\n');
  });

  it('has its output never cut inside a character', async () => {
    const terminal = new Terminal();
    // The three bytes of a euro sign, each written by itself, then two of them and the end.
    const script = String.raw`printf '\342'; sleep 0.05; printf '\202'; sleep 0.05; printf '\254'; printf '\342\202' `;
    await runCommand(terminal, shell(script));
    expect(terminal.text()).toBe('€\uFFFD');
  });

  it('gets its arguments, folder, environment and input as they are given', async () => {
    const terminal = new Terminal();
    const { exitStatus } = await runCommand(terminal, {
      command: '/bin/sh',
      args: ['-c', 'printf "%s|" "$1" "$PWD" "$WORD" "$HOME"; cat', 'sh', "it's $HOME; exit 3"],
      cwd: folder,
      env: { WORD: 'w', PATH: '/usr/bin:/bin' },
      stdin: 'from stdin',
    });
    expect(exitStatus).toBe(0);
    expect(terminal.text()).toBe(`it's $HOME; exit 3|${folder}|w||from stdin`);
  });

  it('that does not read its input is not at fault', async () => {
    const { exitStatus } = await runCommand(new Terminal(), shell('exec true', { stdin: 'x'.repeat(1024 * 1024) }));
    expect(exitStatus).toBe(0);
  });

  it.each([
    ['no-such-program-here', 127, 'no such program'],
    ['/etc/passwd', 126, 'may not be executed'],
  ])('that cannot be started (%s) ends with %i and a line', async (command, exitStatus, reason) => {
    const terminal = new Terminal();
    expect(await runCommand(terminal, { command })).toMatchObject({ exitStatus });
    expect(terminal.chunks).toEqual([{ kind: 'debug', text: expect.stringContaining(`Error running command '${command}': `) }]);
    expect(terminal.text()).toContain(reason);
  });

  it('that a signal ends has 128 and the number', async () => {
    expect(await runCommand(new Terminal(), shell('kill -9 $$'))).toMatchObject({ exitStatus: 137 });
  });

  it('waits while its output is not taken', async () => {
    const terminal = new Terminal();
    let open: () => void = () => undefined;
    terminal.hold = new Promise((resolve) => (open = resolve));
    const done = runCommand(terminal, shell('echo first; head -c 1000000 /dev/zero; echo "status $?" > done', { cwd: folder }));
    await terminal.until('first');
    // One write is under way and not taken; the pipe and Node's buffer hold much less than the rest.
    expect(terminal.chunks).toHaveLength(1);
    await expect(readFile(join(folder, 'done'), 'utf8')).rejects.toThrow('ENOENT');
    terminal.hold = undefined;
    open();
    await done;
    expect(terminal.text()).toHaveLength(1_000_006);
    expect(await readFile(join(folder, 'done'), 'utf8')).toBe('status 0\n');
  });

  it('is not waited for longer than it lives when it leaves somebody behind with its output', async () => {
    const terminal = new Terminal();
    const result = await runCommand(terminal, shell('sleep 600 & echo $!'));
    expect(result).toMatchObject({ exitStatus: 0 });
    const orphan = Number(terminal.text());
    expect(isAlive(orphan)).toBe(true);
    process.kill(orphan, 'SIGKILL');
  });

  it('is killed when nobody can take its output', async () => {
    const terminal = new Terminal();
    const pids: number[] = [];
    const broken: CommandContext = {
      signal: terminal.signal,
      write: async (_kind, text) => {
        pids.push(Number(text));
        return Promise.reject(new Error('no more output here'));
      },
    };
    await expect(runCommand(broken, shell('echo $$; exec sleep 600'))).rejects.toThrow('no more output here');
    expect(pids).toHaveLength(1);
  });
});

describe('a command that is cancelled', () => {
  it('is told to end, with all that it started', async () => {
    const terminal = new Terminal();
    const done = runCommand(terminal, shell('sleep 600 & echo "pid $!"; wait'));
    await terminal.until('pid');
    const child = Number(terminal.text().slice(4));
    terminal.cancel.cancel(false);
    expect(await done).toEqual({ exitStatus: 143, isCancelled: true, isTimedOut: false });
    await goneOf(child);
  });

  it('may say something first', async () => {
    const terminal = new Terminal();
    const done = runCommand(terminal, shell('trap "echo cleaned; exit 5" TERM; echo ready; while :; do sleep 0.01; done'));
    await terminal.until('ready');
    terminal.cancel.cancel(false);
    expect(await done).toMatchObject({ exitStatus: 5, isCancelled: true });
    expect(terminal.text()).toContain('cleaned\n');
  });

  it('is killed after the grace when it does not listen', async () => {
    const terminal = new Terminal();
    const done = runCommand(terminal, shell('trap "" TERM; echo ready; while :; do sleep 0.01; done', { graceMs: 50 }));
    await terminal.until('ready');
    terminal.cancel.cancel(false);
    expect(await done).toMatchObject({ exitStatus: 137, isCancelled: true });
  });

  it('is killed at once by force, also after an ordinary cancel', async () => {
    const terminal = new Terminal();
    const done = runCommand(terminal, shell('trap "echo no" TERM; echo ready; while :; do sleep 0.01; done', { graceMs: 600_000 }));
    await terminal.until('ready');
    terminal.cancel.cancel(false);
    await terminal.until('no');
    terminal.cancel.cancel(true);
    expect(await done).toMatchObject({ exitStatus: 137, isCancelled: true });
  });

  it('before it began is not started', async () => {
    const terminal = new Terminal();
    terminal.cancel.cancel(false);
    expect(await runCommand(terminal, shell('echo never'))).toEqual({ exitStatus: 143, isCancelled: true, isTimedOut: false });
    expect(terminal.chunks).toEqual([]);
  });
});

describe('a command that takes too long', () => {
  it('is told to end, with a line that says so', async () => {
    const terminal = new Terminal();
    const result = await runCommand(terminal, shell('exec sleep 600', { timeoutMs: 50 }));
    expect(result).toEqual({ exitStatus: 143, isCancelled: false, isTimedOut: true });
    expect(terminal.text('debug')).toBe('Timeout for execution passed, trying to stop the job\n');
  });
});

/** Waits until a process is gone: it was sent its signal, and its end is not ours to be told. */
async function goneOf(pid: number): Promise<void> {
  while (isAlive(pid)) {
    await runCommand(new Terminal(), shell('true'));
  }
}
