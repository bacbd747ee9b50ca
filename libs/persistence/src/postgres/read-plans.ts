import type { StoredPlan } from '@dynflow/engine';
import type { Pool, PoolClient } from 'pg';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import { storedPlans } from '../plans/rows-from-columns.js';
import { storable } from './commit-statement.js';

const UNFINISHED = "state IN ('pending', 'scheduled', 'planning', 'planned', 'running')";

export interface PlansAsked {
  readonly ids?: readonly string[];
  /** All that are neither stopped nor paused, the oldest first. */
  readonly unfinished?: true;
  /** Output chunks, too. */
  readonly withChunks?: true;
}

/** Reads plans as they were at one moment, in the order asked. */
export async function readPlans(pool: Pool, asked: PlansAsked): Promise<{ stored: StoredPlan[]; chunks: OutputChunkColumns[] }> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    // Several statements, one snapshot: a plan is never seen with the steps of the next moment.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const plans = await plansAsked(client, asked);
    const ids = [plans.map(({ id }) => id)];
    const actions = await client.query<ActionColumns>(
      'SELECT * FROM dynflow_actions WHERE plan_id = ANY ($1::text[]) ORDER BY plan_id, id',
      ids,
    );
    const steps = await client.query<StepColumns>('SELECT * FROM dynflow_steps WHERE plan_id = ANY ($1::text[]) ORDER BY plan_id, id', ids);
    const chunks =
      asked.withChunks === true
        ? await client.query<OutputChunkColumns>(
            'SELECT * FROM dynflow_output_chunks WHERE plan_id = ANY ($1::text[]) ORDER BY number',
            ids,
          )
        : { rows: [] };
    await client.query('COMMIT');
    return { stored: storedPlans(plans, actions.rows, steps.rows), chunks: chunks.rows };
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A connection that failed is in an unknown state and not used again.
    client.release(failure);
  }
}

async function plansAsked(client: PoolClient, { ids, unfinished }: PlansAsked): Promise<ExecutionPlanColumns[]> {
  const { rows } =
    unfinished === true
      ? await client.query<ExecutionPlanColumns>(`SELECT * FROM dynflow_execution_plans WHERE ${UNFINISHED} ORDER BY created_at, number`)
      : await client.query<ExecutionPlanColumns>(
          'SELECT plan.* FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, place) JOIN dynflow_execution_plans AS plan USING (id) ORDER BY place',
          [(ids ?? []).map(storable)],
        );
  return rows;
}
