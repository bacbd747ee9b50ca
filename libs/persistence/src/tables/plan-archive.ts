import { stringify } from 'csv-stringify/sync';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError, messageOf } from '@dynflow/kernel';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { StepColumns } from '../entities/step.entity.js';

/** Rows of plans that are about to be deleted. */
export interface ArchivedRows {
  readonly plans: readonly ExecutionPlanColumns[];
  readonly actions: readonly ActionColumns[];
  readonly steps: readonly StepColumns[];
}

/** Not archived: passwords, and what only a plan at work has. */
const LEFT_OUT: readonly string[] = ['sealed_secrets', 'request'];

/**
 * Keeps what is deleted as CSV: `plans.csv`, `actions.csv` and `steps.csv` in a folder a day (UTC), `<directory>/20261122`, each with a
 * line of column names first. Only its user can read the files. JSON columns are JSON, times are epoch milliseconds.
 *
 * After a crash between writing and deleting a plan is written again with its next deletion: take the last row of a key.
 */
export class PlanArchive {
  constructor(
    private readonly directory: string,
    private readonly now: () => number,
  ) {}

  /** On disk when it resolves. @throws UnavailableError (`DYN_ARCHIVE_UNAVAILABLE`) if that is not possible. */
  async append(rows: ArchivedRows): Promise<void> {
    const day = new Date(this.now()).toISOString().slice(0, 10).replaceAll('-', '');
    const folder = join(this.directory, day);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await appendRows(join(folder, 'steps.csv'), rows.steps);
      await appendRows(join(folder, 'actions.csv'), rows.actions);
      await appendRows(join(folder, 'plans.csv'), rows.plans);
    } catch (error) {
      throw new UnavailableError('DYN_ARCHIVE_UNAVAILABLE', `the archive in ${folder} cannot be written: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

async function appendRows(file: string, rows: readonly object[]): Promise<void> {
  const [first] = rows;
  if (first === undefined) {
    return;
  }
  const handle = await open(file, 'a', 0o600);
  try {
    const isNew = (await handle.stat()).size === 0;
    const columns = Object.keys(first).filter((column) => !LEFT_OUT.includes(column));
    await handle.write(stringify([...rows], { header: isNew, columns, cast: { boolean: String } }));
    await handle.sync();
  } finally {
    await handle.close();
  }
}
