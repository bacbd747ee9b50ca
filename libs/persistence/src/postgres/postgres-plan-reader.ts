import type { PlanView } from '@dynflow/contracts';
import type { PlanResult, PlanState } from '@dynflow/engine';
import type { Pool, PoolClient } from 'pg';
import type { DataSource } from 'typeorm';
import { listPlans } from '../plans/list-plans.js';
import type { PlanListQuery, PlanReader, PlanSummary } from '../plans/plan-reader.js';
import {
  ACTION_VIEW_COLUMNS,
  CHUNK_VIEW_COLUMNS,
  PLAN_VIEW_COLUMNS,
  STEP_VIEW_COLUMNS,
  planViews,
  type ActionViewColumns,
  type ChunkViewColumns,
  type PlanViewColumns,
  type StepViewColumns,
  type ViewRows,
} from '../plans/plan-views.js';
import { storable } from './commit-statement.js';
import { postgresFailure } from './postgres-errors.js';
import { snapshot } from './snapshot.js';

/** So many plans are read at a time, which bounds what is held in memory twice. */
const BATCH = 200;

/** Reads plans from PostgreSQL. */
export class PostgresPlanReader implements PlanReader {
  readonly #pool: Pool;
  readonly #source: DataSource;

  constructor(pool: Pool, source: DataSource) {
    this.#pool = pool;
    this.#source = source;
  }

  async plans(ids: readonly string[]): Promise<PlanView[]> {
    return this.#do(async () => {
      const views: PlanView[] = [];
      const asked = [...new Set(ids)];
      for (let start = 0; start < asked.length; start += BATCH) {
        const ids = [asked.slice(start, start + BATCH).map(storable)];
        views.push(...planViews(await snapshot(this.#pool, async (client) => rowsOf(client, ids))));
      }
      return views;
    });
  }

  async states(ids: readonly string[]): Promise<Map<string, { state: PlanState; result: PlanResult }>> {
    return this.#do(async () => {
      const { rows } = await this.#pool.query<{ id: string; state: PlanState; result: PlanResult }>(
        'SELECT id, state, result FROM dynflow_execution_plans WHERE id = ANY ($1::text[])',
        [ids.map(storable)],
      );
      return new Map(rows.map(({ id, state, result }) => [id, { state, result }]));
    });
  }

  async count(state?: string): Promise<number> {
    return this.#do(async () => {
      const all = 'SELECT count(*) FROM dynflow_execution_plans';
      const { rows } = await (state === undefined
        ? this.#pool.query<{ count: string }>(all)
        : this.#pool.query<{ count: string }>(`${all} WHERE state = $1`, [storable(state)]));
      return Number(rows[0]?.count ?? 0);
    });
  }

  async list(query: PlanListQuery): Promise<PlanSummary[]> {
    return this.#do(async () => listPlans(this.#source, query));
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw postgresFailure(error);
    }
  }
}

async function rowsOf(client: PoolClient, ids: unknown[]): Promise<ViewRows> {
  const plans = await client.query<PlanViewColumns>(
    `SELECT ${PLAN_VIEW_COLUMNS.map((column) => `plan.${column}`).join(', ')} ` +
      'FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, place) JOIN dynflow_execution_plans AS plan ON plan.id = asked.id ORDER BY place',
    ids,
  );
  const ofPlans = (columns: readonly string[], table: string, order: string): string =>
    `SELECT ${columns.join(', ')} FROM ${table} WHERE plan_id = ANY ($1::text[]) ORDER BY ${order}`;
  const actions = await client.query<ActionViewColumns>(ofPlans(ACTION_VIEW_COLUMNS, 'dynflow_actions', 'plan_id, id'), ids);
  const steps = await client.query<StepViewColumns>(ofPlans(STEP_VIEW_COLUMNS, 'dynflow_steps', 'plan_id, id'), ids);
  const chunks = await client.query<ChunkViewColumns>(ofPlans(CHUNK_VIEW_COLUMNS, 'dynflow_output_chunks', 'number'), ids);
  return { plans: plans.rows, actions: actions.rows, steps: steps.rows, chunks: chunks.rows };
}
