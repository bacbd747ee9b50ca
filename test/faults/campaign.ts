import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger, nameOfPoint, type CallPoint } from '@dynflow/testing/faults';
import { bundle } from './bundle.js';
import type { Databases } from './databases.js';
import type { Entry } from './entries.js';
import { complaintsOf, type Run } from './judge.js';
import { LEDGER_FILE } from './run-to-rest.js';
import { FINDINGS_FILE, SURVIVED_FILE, type Findings, type MetPoint, type Place, type Survived, type Task } from './victim.js';

export interface CampaignOptions {
  readonly databases: Databases;
  /** Which of the points that an undisturbed run met, to be killed at. */
  readonly choose: (points: readonly MetPoint[]) => readonly CallPoint[];
  /** Processes at the same time. */
  readonly atOnce: number;
  /** Leaves the directories of runs with complaints, for a look. */
  readonly keeps?: boolean;
  readonly onKill?: (kill: Kill) => void;
}

/** A kill and what came of it. */
export interface Kill {
  readonly point: CallPoint;
  /** False if this run never came there: the order of what happens at the same time is not always the same. */
  readonly isReached: boolean;
  readonly complaints: readonly string[];
}

export interface Campaign {
  readonly points: readonly MetPoint[];
  readonly kills: readonly Kill[];
}

interface Case {
  readonly point: CallPoint | null;
  readonly place: Place;
}

/** A run takes a second or two; one that has not ended by then waits for something that will not come. */
const RUN_LIMIT_MS = 30_000;

/**
 * Runs the scenario once undisturbed, and then once for each chosen point with a process that is killed there. Each next process first
 * sees to what the one before it left. All are real processes on real databases.
 */
export async function runCampaign({ databases, choose, atOnce, keeps = false, onKill }: CampaignOptions): Promise<Campaign> {
  const root = mkdtempSync(join(tmpdir(), 'dynflow-faults-'));
  const program = await bundle(join(import.meta.dirname, 'victim.ts'));
  let places = 0;
  const makeCase = async (point: CallPoint | null): Promise<Case> => {
    places += 1;
    const directory = join(root, String(places));
    mkdirSync(directory);
    return { point, place: { directory, databaseUrl: await databases.make(directory) } };
  };
  const work = async (before: Case | null, next: Case | null): Promise<string> => {
    if (before !== null) {
      await databases.release(before.place.databaseUrl);
    }
    const run = next === null ? null : { ...next.place, killAt: next.point };
    return runProcess(program.loader, { recover: before?.place ?? null, run, limitMs: RUN_LIMIT_MS });
  };
  try {
    const first = await makeCase(null);
    const failure = await work(null, first);
    if (!existsSync(join(first.place.directory, SURVIVED_FILE))) {
      throw new Error(`the undisturbed run failed: ${failure}`);
    }
    const { points, ...end } = read<Survived>(first.place, SURVIVED_FILE);
    const clean: Run = { ...end, ledger: ledgerOf(first.place) };
    const undisturbed = complaintsOf({ ...clean, left: [], integrity: await databases.check(first.place.databaseUrl) }, clean);
    if (undisturbed.length > 0) {
      throw new Error(`the undisturbed run is not as it should be: ${undisturbed.join('; ')}`);
    }

    const waiting = [...choose(points)];
    const kills: Kill[] = [];
    const judge = async ({ point, place }: Case, failed: string): Promise<void> => {
      if (point !== null) {
        const isReached = !existsSync(join(place.directory, SURVIVED_FILE));
        const complaints = existsSync(join(place.directory, FINDINGS_FILE))
          ? await judgePlace(place, clean, databases)
          : [`not recovered: ${failed}`];
        const kill = { point, isReached, complaints };
        kills.push(kill);
        onKill?.(kill);
        if (complaints.length === 0 || !keeps) {
          rmSync(place.directory, { recursive: true });
        }
      }
    };
    const worker = async (): Promise<void> => {
      let before: Case | null = null;
      for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
        const next: Case = await makeCase(point);
        const failed = await work(before, next);
        if (before !== null) {
          await judge(before, failed);
          if (!existsSync(join(before.place.directory, FINDINGS_FILE)) && kills.at(-1)?.complaints.length) {
            // The process never got to its own point.
            waiting.push(point);
            before = null;
            continue;
          }
        }
        before = next;
      }
      if (before !== null) {
        await judge(before, await work(before, null));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return { points, kills };
  } finally {
    program.dispose();
    if (!keeps) {
      rmSync(root, { recursive: true, force: true });
    }
  }
}

async function judgePlace(place: Place, clean: Run, databases: Databases): Promise<string[]> {
  const findings = read<Findings>(place, FINDINGS_FILE);
  return complaintsOf({ ...findings, ledger: ledgerOf(place), integrity: await databases.check(place.databaseUrl) }, clean);
}

/** @returns what it wrote, for the case that it did not do what it should. */
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

function ledgerOf({ directory }: Place): Entry[] {
  return new Ledger<Entry>(join(directory, LEDGER_FILE)).entries();
}

/** Name of a point, to find it again. */
export const nameOfKill = ({ point }: Kill): string => nameOfPoint(point);
