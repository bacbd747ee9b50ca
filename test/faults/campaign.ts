import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlanView } from '@dynflow/plugin';
import { Ledger, type CallPoint } from '@dynflow/testing/faults';
import { bundle } from './bundle.js';
import type { Databases } from './databases.js';
import type { Entry } from './entries.js';
import { complaintsOf, type Run } from './judge.js';
import { LEDGER_FILE } from './run-to-rest.js';
import { END_FILE, LEFT_FILE, SURVIVED_FILE, type End, type MetPoint, type Place, type Survived, type Task } from './victim.js';

type Choice = (points: readonly MetPoint[]) => readonly CallPoint[];

export interface CampaignOptions {
  readonly databases: Databases;
  /** Which of the points that an undisturbed run met, to be killed at. */
  readonly choose: Choice;
  /** Kills that are followed by a second one: where the first is, and where the second, of the points that its successor met. */
  readonly again?: { readonly first: Choice; readonly second: Choice };
  /** Processes at the same time. */
  readonly atOnce: number;
  /** Leaves the directories of runs with complaints, for a look. */
  readonly keeps?: boolean;
  readonly onKill?: (kill: Kill) => void;
}

/** A kill and what came of it. */
export interface Kill {
  readonly point: CallPoint;
  /** Where the process before it was killed, whose plans it had taken over. */
  readonly after: CallPoint | null;
  /** False if this run never came there: the order of what happens at the same time is not always the same. */
  readonly isReached: boolean;
  readonly complaints: readonly string[];
}

export interface Campaign {
  readonly points: readonly MetPoint[];
  /** What processes met that took over. */
  readonly takeovers: readonly MetPoint[];
  readonly kills: readonly Kill[];
}

interface Case {
  readonly point: CallPoint | null;
  /** The case whose place this one's is a copy of. */
  readonly after: Case | null;
  readonly place: Place;
}

/** A run takes a second or two; one that has not ended by then waits for something that will not come. */
const RUN_LIMIT_MS = 60_000;

/**
 * Runs the scenario once undisturbed, and then once for each chosen point with a process that is killed there. Each next process first
 * sees to what the one before it left. All are real processes on real databases.
 */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const root = mkdtempSync(join(tmpdir(), 'dynflow-faults-'));
  const program = await bundle(join(import.meta.dirname, 'victim.ts'));
  try {
    return await new Campaigner(options, root, program.loader).run();
  } finally {
    program.dispose();
    if (options.keeps !== true) {
      rmSync(root, { recursive: true, force: true });
    }
  }
}

class Campaigner {
  readonly #kills: Kill[] = [];
  #places = 0;

  constructor(
    private readonly options: CampaignOptions,
    private readonly root: string,
    private readonly loader: string,
  ) {}

  async run(): Promise<Campaign> {
    const { choose, again, databases, atOnce } = this.options;
    const first = await this.#make(null, null);
    const { points, ...end } = await this.#survive(first);
    const clean: Run = { ...end, ledger: this.#ledgerOf(first) };
    const complaints = complaintsOf({ ...clean, left: [], integrity: await databases.check(first.place.databaseUrl) }, clean);
    if (complaints.length > 0) {
      throw new Error(`the undisturbed run is not as it should be: ${complaints.join('; ')}`);
    }
    const waiting: { point: CallPoint; after: Case | null }[] = choose(points).map((point) => ({ point, after: null }));
    const takeovers: MetPoint[] = [];
    for (const point of again?.first(points) ?? []) {
      const after = await this.#make(point, null);
      await this.#process(null, after);
      const met = await this.#survive(await this.#make(null, after));
      takeovers.push(...met.points);
      waiting.push(...(again?.second(met.points) ?? []).map((second) => ({ point: second, after })));
    }
    const worker = async (): Promise<void> => {
      let before: Case | null = null;
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const made: Case = await this.#make(next.point, next.after);
        const words = await this.#process(before, made);
        if (before === null || (await this.#judge(before, words, clean))) {
          before = made;
        } else {
          // The process never came to its own point.
          waiting.push(next);
          before = null;
        }
      }
      if (before !== null) {
        await this.#judge(before, await this.#process(before, null), clean);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return { points, takeovers, kills: this.#kills };
  }

  async #make(point: CallPoint | null, after: Case | null): Promise<Case> {
    this.#places += 1;
    const directory = join(this.root, String(this.#places));
    mkdirSync(directory);
    for (const file of after === null ? [] : [LEDGER_FILE, LEFT_FILE]) {
      const from = join((after?.place ?? { directory }).directory, file);
      if (existsSync(from)) {
        copyFileSync(from, join(directory, file));
      }
    }
    const databaseUrl = await this.options.databases.make(directory, after?.place.databaseUrl);
    return { point, after, place: { directory, databaseUrl } };
  }

  /** Runs a process that first recovers one case and is then killed in another. @returns what it wrote, in case of need. */
  async #process(before: Case | null, next: Case | null): Promise<string> {
    // Whoever had these open was killed.
    for (const { place } of [before, next?.after ? next : null].filter((one) => one !== null)) {
      await this.options.databases.release(place.databaseUrl);
    }
    const run = next === null ? null : { ...next.place, killAt: next.point };
    return runProcess(this.loader, { recover: before?.place ?? null, run, limitMs: RUN_LIMIT_MS });
  }

  /** Runs a case in which nobody is killed. */
  async #survive(one: Case): Promise<Survived> {
    const words = await this.#process(null, one);
    if (!existsSync(join(one.place.directory, SURVIVED_FILE))) {
      throw new Error(`a run without a kill failed: ${words}`);
    }
    return read<Survived>(one.place, SURVIVED_FILE);
  }

  /** @returns false if it was never recovered. */
  async #judge({ point, after, place }: Case, words: string, clean: Run): Promise<boolean> {
    const { keeps, onKill, databases } = this.options;
    const isRecovered = existsSync(join(place.directory, END_FILE));
    if (point !== null) {
      const complaints = isRecovered ? await this.#complaints(place, clean, databases) : [`not recovered: ${words}`];
      const isReached = !existsSync(join(place.directory, SURVIVED_FILE));
      const kill = { point, after: after?.point ?? null, isReached, complaints };
      this.#kills.push(kill);
      onKill?.(kill);
      if (complaints.length === 0 || keeps !== true) {
        rmSync(place.directory, { recursive: true });
      }
    }
    return isRecovered;
  }

  async #complaints(place: Place, clean: Run, databases: Databases): Promise<string[]> {
    const left = new Ledger<PlanView[]>(join(place.directory, LEFT_FILE)).entries().flat();
    const integrity = await databases.check(place.databaseUrl);
    return complaintsOf({ ...read<End>(place, END_FILE), ledger: this.#ledgerOf({ place }), left, integrity }, clean);
  }

  #ledgerOf({ place }: { place: Place }): Entry[] {
    return new Ledger<Entry>(join(place.directory, LEDGER_FILE)).entries();
  }
}

/** @returns how it ended and what it wrote last. */
async function runProcess(loader: string, task: Task): Promise<string> {
  const child = spawn(process.execPath, [loader, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let written = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (written += text));
  await once(child, 'close');
  return `${child.signalCode ?? `exit ${child.exitCode}`} ${written.slice(-4_000)}`;
}

function read<T>({ directory }: Place, file: string): T {
  return JSON.parse(readFileSync(join(directory, file), 'utf8')) as T;
}
