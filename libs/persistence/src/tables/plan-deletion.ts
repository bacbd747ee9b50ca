import { setImmediate } from 'node:timers/promises';
import type { PlanFilter } from '@dynflow/contracts';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import type { PlanReader } from '../plans/plan-reader.js';
import { manyOf } from '../plans/search-filter.js';
import type { PlanArchive } from './plan-archive.js';
import type { Sql } from './sql.js';

/** So many plans go in one statement: others wait no longer than that takes. */
const SLICE = 100;

/** Which finished plans may go; at least one of `olderThanMs` and `keep` is to be given. */
export interface PurgeOptions {
  /** Plans that stopped before this moment, epoch milliseconds. */
  readonly olderThanMs?: number;
  /** Of those that have stopped, all but the last so many. */
  readonly keep?: number;
  readonly limit: number;
}

export interface DeleteOptions {
  /** Told after each slice how many are deleted so far. */
  readonly onProgress?: (deleted: number) => void;
  /** Asked before each slice. */
  readonly isStopped?: () => boolean;
}

/**
 * Deletes plans that have stopped, each with its actions, steps and output, in small transactions; with an archive, after they have been
 * written there. What somebody still needs stays: a sub-plan of a plan that has not stopped, which may count it, and a plan that one
 * that has not stopped begins after.
 */
export class PlanDeletion {
  constructor(
    private readonly sql: Sql,
    private readonly reader: PlanReader,
    private readonly archive: PlanArchive | null,
  ) {}

  /** The oldest first. @returns how many it deleted: fewer than `limit` when nothing is left to delete. */
  async purgeFinished({ olderThanMs = -Infinity, keep, limit }: PurgeOptions): Promise<number> {
    const before = Math.max(olderThanMs, keep === undefined ? -Infinity : await this.#endOfSurplus(keep));
    let deleted = 0;
    while (deleted < limit && before > -Infinity) {
      const asked = Math.min(SLICE, limit - deleted);
      const ids = await this.#oldest(before, asked);
      deleted += await this.#delete(ids);
      if (ids.length < asked) {
        break;
      }
      await setImmediate();
    }
    return deleted;
  }

  /** Those that fit and have stopped. @returns how many. @throws InvalidInputError for a filter that there is not. */
  async deletePlans(filter: PlanFilter, { onProgress, isStopped }: DeleteOptions = {}): Promise<number> {
    const state = filter.state === undefined || manyOf(filter.state).includes('stopped') ? 'stopped' : [];
    let deleted = 0;
    for (let after: number | undefined; isStopped?.() !== true;) {
      const page = await this.reader.list({
        ...filter,
        state,
        orderBy: 'number',
        direction: 'ascending',
        limit: SLICE,
        ...(after === undefined ? {} : { after }),
      });
      deleted += await this.#delete(page.map(({ id }) => id));
      onProgress?.(deleted);
      after = page.at(-1)?.number;
      if (page.length < SLICE) {
        break;
      }
      await setImmediate();
    }
    return deleted;
  }

  /** Before this moment those have ended that are more than so many. */
  async #endOfSurplus(keep: number): Promise<number> {
    const [last] = await this.sql<{ ended_at: number }>`
      SELECT ended_at FROM dynflow_execution_plans WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1 OFFSET ${keep}`;
    // Those of the very same moment go as well: the comparison is "before".
    return last === undefined ? -Infinity : nextAfter(last.ended_at);
  }

  async #oldest(before: number, limit: number): Promise<string[]> {
    // The state is put so that no index fits it: the oldest are to be found by their end, not by sorting all that have stopped.
    const rows = await this.sql<{ id: string }>`
      SELECT id FROM dynflow_execution_plans AS ended
      WHERE ended_at < ${before} AND state || '' = 'stopped' AND (
        caller_plan IS NULL OR NOT EXISTS (
          SELECT 1 FROM dynflow_execution_plans AS caller WHERE caller.id = ended.caller_plan AND caller.state <> 'stopped'
        )
      ) AND NOT EXISTS (
        SELECT 1 FROM dynflow_plan_dependencies AS dependency
        JOIN dynflow_execution_plans AS waiting ON waiting.id = dependency.plan_id
        WHERE dependency.after_id = ended.id AND waiting.state <> 'stopped'
      )
      ORDER BY ended_at LIMIT ${limit}`;
    return rows.map(({ id }) => id);
  }

  async #delete(ids: readonly string[]): Promise<number> {
    const list = JSON.stringify(ids);
    if (ids.length === 0) {
      return 0;
    }
    const free = this.archive === null ? list : JSON.stringify(await this.#archiveFree(list, this.archive));
    // The rest of a plan goes with it: that is what the foreign keys say.
    const deleted = await this.sql`
      DELETE FROM dynflow_execution_plans WHERE id IN (SELECT value FROM json_each(${free})) AND state = 'stopped' AND (
        caller_plan IS NULL OR NOT EXISTS (
          SELECT 1 FROM dynflow_execution_plans AS caller
          WHERE caller.id = dynflow_execution_plans.caller_plan AND caller.state <> 'stopped'
        )
      ) AND NOT EXISTS (
        SELECT 1 FROM dynflow_plan_dependencies AS dependency
        JOIN dynflow_execution_plans AS waiting ON waiting.id = dependency.plan_id
        WHERE dependency.after_id = dynflow_execution_plans.id AND waiting.state <> 'stopped'
      )
      RETURNING number`;
    return deleted.length;
  }

  /** Writes those of these plans to the archive that may be deleted. @returns their ids. */
  async #archiveFree(ids: string, archive: PlanArchive): Promise<string[]> {
    const plans = await this.sql<ExecutionPlanColumns>`
      SELECT * FROM dynflow_execution_plans AS ended
      WHERE id IN (SELECT value FROM json_each(${ids})) AND state = 'stopped' AND (
        caller_plan IS NULL OR NOT EXISTS (
          SELECT 1 FROM dynflow_execution_plans AS caller WHERE caller.id = ended.caller_plan AND caller.state <> 'stopped'
        )
      ) AND NOT EXISTS (
        SELECT 1 FROM dynflow_plan_dependencies AS dependency
        JOIN dynflow_execution_plans AS waiting ON waiting.id = dependency.plan_id
        WHERE dependency.after_id = ended.id AND waiting.state <> 'stopped'
      )
      ORDER BY number`;
    const free = JSON.stringify(plans.map(({ id }) => id));
    const actions = await this.sql<ActionColumns>`
      SELECT * FROM dynflow_actions WHERE plan_id IN (SELECT value FROM json_each(${free})) ORDER BY plan_id, id`;
    const steps = await this.sql<StepColumns>`
      SELECT * FROM dynflow_steps WHERE plan_id IN (SELECT value FROM json_each(${free})) ORDER BY plan_id, id`;
    await archive.append({ plans, actions, steps });
    return plans.map(({ id }) => id);
  }
}

/** The next larger number: times have fractions. */
function nextAfter(value: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  bits[0] = (bits[0] ?? 0n) + 1n;
  return new Float64Array(bits.buffer)[0] ?? value;
}
