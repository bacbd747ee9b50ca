import { setImmediate } from 'node:timers/promises';
import type { Sql } from './sql.js';

/** So many plans go in one statement: others wait no longer than that takes. */
const BATCH = 100;

export interface PurgeOptions {
  /** Plans that stopped before this moment, epoch milliseconds. */
  readonly olderThanMs: number;
  readonly limit: number;
}

/**
 * Deletes plans that have stopped, the oldest first, each with its actions, steps and output. A sub-plan stays as long as the plan that
 * asked for it has not stopped, since that one may still count it.
 *
 * @returns how many it deleted.
 */
export async function purgeFinished(sql: Sql, { olderThanMs, limit }: PurgeOptions): Promise<number> {
  let deleted = 0;
  for (;;) {
    const asked = Math.min(BATCH, limit - deleted);
    const rows = asked <= 0 ? [] : await purgeBatch(sql, olderThanMs, asked);
    deleted += rows.length;
    if (rows.length < asked || asked <= 0) {
      return deleted;
    }
    await setImmediate();
  }
}

async function purgeBatch(sql: Sql, olderThanMs: number, limit: number): Promise<unknown[]> {
  // The rest of a plan goes with it: that is what the foreign keys say. The state is put so that no index fits it: the oldest are to be
  // found by their end, not by sorting all that have stopped.
  return sql`
    DELETE FROM dynflow_execution_plans WHERE number IN (
      SELECT number FROM dynflow_execution_plans AS ended
      WHERE ended_at < ${olderThanMs} AND state || '' = 'stopped' AND (
        caller_plan IS NULL OR NOT EXISTS (
          SELECT 1 FROM dynflow_execution_plans AS caller WHERE caller.id = ended.caller_plan AND caller.state <> 'stopped'
        )
      )
      ORDER BY ended_at LIMIT ${limit}
    )
    RETURNING number`;
}
