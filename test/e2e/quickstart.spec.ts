import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** The quickstart as a process, without a terminal; its temporary files, and so all that it could leave behind, are in `dir`. */
class Quickstart {
  output = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #waiting: { text: string; resolve: () => void }[] = [];

  constructor(dir: string, args: readonly string[]) {
    const env = { ...process.env, TMPDIR: dir, LC_ALL: 'C', CI: '' };
    this.#child = spawn(process.execPath, [join(root, 'scripts/quickstart.mjs'), '--built', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves when this has been printed; rejects when the end comes first. */
  printed(text: string): Promise<void> {
    if (this.output.includes(text)) return Promise.resolve();
    const seen = new Promise<void>((resolve) => this.#waiting.push({ text, resolve }));
    const ended = this.ended.then((code) => {
      throw new Error(`ended with ${code} before it printed "${text}":\n${this.output}`);
    });
    return Promise.race([seen, ended]);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #take(text: string): void {
    this.output += text;
    for (const { text: wanted, resolve } of this.#waiting) if (this.output.includes(wanted)) resolve();
  }
}

let dir: string;
let quickstart: Quickstart | undefined;

function start(...args: string[]): Quickstart {
  quickstart = new Quickstart(dir, args);
  return quickstart;
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quickstart-spec-'));
});

afterEach(async () => {
  quickstart?.kill();
  quickstart = undefined;
  await rm(dir, { recursive: true, force: true });
});

describe('npm run quickstart', { timeout: 120_000 }, () => {
  it('runs a batch on three hosts, tells Foreman, and leaves nothing behind', async () => {
    const { ended } = start('--once', '--port', '0');

    expect(await ended).toBe(0);
    const { output } = quickstart!;
    for (const host of ['host-1', 'host-2', 'host-3']) {
      expect(output).toMatch(new RegExp(`^ {2}${host} +\\S+:\\d+ +0 +\\d+\\.\\d s +\\* success, after \\d+ ms$`, 'm'));
    }
    expect(output).toContain('host-1 | this line goes to stderr\n');
    expect(output).toContain('host-2 | upgrading openssl ... ok\n');
    expect(output).toMatch(/http:\/\/\S+\/tasks\/[0-9a-f-]{36}\/status/);
    // Without a terminal nothing is painted or rewritten.
    expect(output).toBe(stripVTControlCharacters(output).replaceAll('\r', ''));
    await expectNothingLeft();
  });

  it('exits with 1 when a host fails', async () => {
    const { ended } = start('--once', '--port', '0', '--hosts', '2');
    await quickstart!.printed('host-2 | upgrading openssl');

    await killScriptOf('upgrading');

    expect(await ended).toBe(1);
    expect(quickstart!.output).toMatch(/^ {2}host-1 .* 0 .* \* success/m);
    expect(quickstart!.output).toMatch(/^ {2}host-2 +\S+:\d+ +[1-9]\d* .* x failure/m);
    await expectNothingLeft();
  });

  it('stops in the middle when it is told to, and leaves nothing behind', async () => {
    const { ended } = start('--port', '0');
    await quickstart!.printed('host-3 | backup 20 %');

    quickstart!.interrupt();

    expect(await ended).toBe(130);
    expect(quickstart!.output).toContain('Stopped; nothing is left behind.');
    await expectNothingLeft();
  });

  it('keeps running without --once, serves what it says, and exits with 0 when it is told to stop', async () => {
    const { ended } = start('--port', '0', '--hosts', '1');
    await quickstart!.printed('Press Ctrl-C');

    const url = /(http:\S+)\/features/.exec(quickstart!.output)?.[1] ?? '';
    expect(await (await fetch(`${url}/features`)).json()).toContain('dynflow');
    const command = /(curl -s [^]*?\}\}\}')/.exec(quickstart!.output)?.[1] ?? '';
    const body = JSON.parse(/-d '(.*)'/s.exec(command)?.[1] ?? '') as object;
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/tasks/launch`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(await answer.json()).toMatchObject({ result: 'success' });
    quickstart!.interrupt();

    expect(await ended).toBe(0);
    await expectNothingLeft();
  });

  it('says at once that the port is taken, and which option helps', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      expect(await start('--once', '--port', String(port)).ended).toBe(1);
    } finally {
      server.close();
    }
    expect(quickstart!.output).toMatch(new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken.*npm run quickstart -- --port \\d+\n$`));
    await expectNothingLeft();
  });

  it.each([['--port', 'x'], ['--port', '70000'], ['--hosts', '0'], ['--ports']])(
    'refuses %s %s with the options that there are',
    async (...args) => {
      expect(await start(...args).ended).toBe(2);
      expect(quickstart!.output).toContain(args[0]);
      expect(quickstart!.output).toContain('Usage: npm run quickstart');
    },
  );
});

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(dir)).toEqual([]);
  // What was killed may take a moment to be gone, but only what is there for good is a fault.
  await expect.poll(() => processesOf(dir), { timeout: 5_000 }).toEqual([]);
}

interface Process {
  readonly pid: number;
  readonly commandLine: string;
}

/** The processes that have to do with a directory: by their command line, their environment or where they are. */
async function processesOf(path: string): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (name) => {
      const read = (file: string): Promise<string> => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '');
      const commandLine = await read('cmdline');
      const cwd = await readlink(`/proc/${name}/cwd`).catch(() => '');
      // A zombie has no command line: it is dead, and only waits for its parent to notice.
      const isOurs = commandLine !== '' && `${commandLine}\n${await read('environ')}\n${cwd}`.includes(path);
      return isOurs ? { pid: Number(name), commandLine: commandLine.replaceAll('\0', ' ').trim() } : undefined;
    }),
  );
  return found.filter((one) => one !== undefined);
}

/** Kills the script of the quickstart that has this word in its text, as a host's administrator would. */
async function killScriptOf(word: string): Promise<void> {
  for (const { pid, commandLine } of await processesOf(dir)) {
    const script = commandLine.split(' ').at(-1) ?? '';
    if (!script.endsWith('/script')) continue;
    const text = await readFile(script, 'utf8').catch(() => '');
    if (text.includes(word)) process.kill(pid, 'SIGKILL');
  }
}
