import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '@dynflow/persistence';
import type { PlanView } from '@dynflow/plugin';
import { Ledger, nameOfPoint, type CallPoint } from '@dynflow/testing/faults';
import type { Entry } from './entries.js';
import { LEDGER_FILE, runToRest, type RunEnd, type RunOptions } from './run-to-rest.js';

/** One run's place: a database and a directory for the ledger and the findings. */
export interface Place {
  readonly directory: string;
  readonly databaseUrl: string;
}

/** What a process has to do: first it sees to what a killed one left, then it is killed itself. */
export interface Task {
  readonly recover: Place | null;
  /** In a new place, or in one where another was killed before. */
  readonly run: (Place & { readonly killAt: CallPoint | null }) | null;
  readonly limitMs: number;
}

/** What a process found at its end. */
export interface End {
  readonly ended: readonly PlanView[];
  readonly mute: readonly string[];
  readonly isTimedOut: boolean;
  readonly plans: number;
}

/** What a process tells that was to be killed, and came to its end. */
export interface Survived extends End {
  readonly points: readonly MetPoint[];
}

/** A point, and how many bytes the process had left outside itself when it came there. */
export interface MetPoint extends CallPoint {
  readonly bytes: number;
}

/** A line for each process that was killed: the plans as it left them. */
export const LEFT_FILE = 'left.jsonl';
export const END_FILE = 'end.json';
export const SURVIVED_FILE = 'survived.json';

/** Called by the loader of the bundle. It is killed, or killed when it has ended: no order is left to anything. */
export async function main(task: Task): Promise<void> {
  if (task.recover !== null) {
    await recover(task.recover, task.limitMs);
  }
  if (task.run !== null) {
    await run(task.run, task.limitMs);
  }
}

async function recover(place: Place, limitMs: number): Promise<void> {
  const { views, ...rest } = await takeOver({ ...place, limitMs, onPoint: () => undefined });
  const end: End = { ended: [...views.values()], ...rest };
  writeFileSync(join(place.directory, END_FILE), JSON.stringify(end));
}

async function run({ killAt, ...place }: NonNullable<Task['run']>, limitMs: number): Promise<void> {
  const points: MetPoint[] = [];
  const target = killAt === null ? null : nameOfPoint(killAt);
  const onPoint = (point: CallPoint): void => {
    if (target === null) {
      points.push({ ...point, bytes: bytesIn(place.directory) });
    }
    if (nameOfPoint(point) === target) {
      process.kill(process.pid, 'SIGKILL');
      // The signal comes at the next chance; nothing may happen until then.
      for (;;);
    }
  };
  const options = { ...place, limitMs, onPoint };
  const { views, ...rest } = await (existsSync(join(place.directory, LEDGER_FILE)) ? takeOver(options) : runToRest(options));
  // Only who was not killed gets here.
  const survived: Survived = { points, ended: [...views.values()], ...rest };
  writeFileSync(join(place.directory, SURVIVED_FILE), JSON.stringify(survived));
}

/** Goes on where another process was killed, and notes before what that had left. */
async function takeOver(options: RunOptions): Promise<RunEnd> {
  const database = await openDatabase({ url: options.databaseUrl });
  const plans = await database.reader.list({ limit: 1_000 });
  new Ledger(join(options.directory, LEFT_FILE)).add(await database.reader.plans(plans.map(({ id }) => id)));
  await database.close();
  new Ledger<Entry>(join(options.directory, LEDGER_FILE)).add({ kind: 'restart' });
  return runToRest(options);
}

/** Database, its log and the ledger only grow during a run, so that each write shows. */
function bytesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}
