import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '@dynflow/persistence';
import type { PlanView } from '@dynflow/plugin';
import { Ledger, nameOfPoint, type CallPoint } from '@dynflow/testing/faults';
import type { Entry } from './entries.js';
import { LEDGER_FILE, runToRest } from './run-to-rest.js';

/** One run's place: a database and a directory for the ledger and the findings. */
export interface Place {
  readonly directory: string;
  readonly databaseUrl: string;
}

/** What a process has to do: first it sees to what a killed one left, then it is killed itself. */
export interface Task {
  readonly recover: Place | null;
  readonly run: (Place & { readonly killAt: CallPoint | null }) | null;
  readonly limitMs: number;
}

/** What was found where a process was killed. */
export interface Findings {
  /** The plans as the killed process left them. */
  readonly left: readonly PlanView[];
  readonly ended: readonly PlanView[];
  readonly mute: readonly string[];
  readonly isTimedOut: boolean;
  readonly plans: number;
}

/** What a process tells that was not killed. */
export interface Survived {
  readonly points: readonly MetPoint[];
  readonly ended: readonly PlanView[];
  readonly mute: readonly string[];
  readonly isTimedOut: boolean;
  readonly plans: number;
}

/** A point, and how many bytes the process had left outside itself when it came there. */
export interface MetPoint extends CallPoint {
  readonly bytes: number;
}

export const FINDINGS_FILE = 'findings.json';
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

async function recover({ directory, databaseUrl }: Place, limitMs: number): Promise<void> {
  const database = await openDatabase({ url: databaseUrl });
  const all = await database.reader.list({ limit: 1_000 });
  const left = await database.reader.plans(all.map(({ id }) => id));
  await database.close();
  new Ledger<Entry>(join(directory, LEDGER_FILE)).add({ kind: 'restart' });
  const { views, ...rest } = await runToRest({ directory, databaseUrl, limitMs, onPoint: () => undefined });
  const findings: Findings = { left, ended: [...views.values()], ...rest };
  writeFileSync(join(directory, FINDINGS_FILE), JSON.stringify(findings));
}

async function run({ directory, databaseUrl, killAt }: NonNullable<Task['run']>, limitMs: number): Promise<void> {
  const points: MetPoint[] = [];
  const target = killAt === null ? null : nameOfPoint(killAt);
  const { views, ...rest } = await runToRest({
    directory,
    databaseUrl,
    limitMs,
    onPoint: (point) => {
      if (target === null) {
        points.push({ ...point, bytes: bytesIn(directory) });
      }
      if (nameOfPoint(point) === target) {
        process.kill(process.pid, 'SIGKILL');
        // The signal comes at the next chance; nothing may happen until then.
        for (;;);
      }
    },
  });
  // Only who was not killed gets here.
  const survived: Survived = { points, ended: [...views.values()], ...rest };
  writeFileSync(join(directory, SURVIVED_FILE), JSON.stringify(survived));
}

/** Database, its log and the ledger only grow during a run, so that each write shows. */
function bytesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}
