import type { PlanResult, PlanState } from '@dynflow/engine';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { listPlans } from '../plans/list-plans.js';
import type { PlanListQuery, PlanReader, PlanSummary } from '../plans/plan-reader.js';
import { planViews, type StoredPlanView } from '../plans/stored-plan-view.js';
import { storable } from './commit-statement.js';
import { postgresFailure } from './postgres-errors.js';
import { readPlans } from './read-plans.js';

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

  async plans(ids: readonly string[]): Promise<StoredPlanView[]> {
    return this.#do(async () => {
      const views: StoredPlanView[] = [];
      const asked = [...new Set(ids)];
      for (let start = 0; start < asked.length; start += BATCH) {
        const { stored, chunks } = await readPlans(this.#pool, { ids: asked.slice(start, start + BATCH), withChunks: true });
        views.push(...planViews(stored, chunks));
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
      const { rows } = await this.#pool.query<{ count: string }>(
        'SELECT count(*) FROM dynflow_execution_plans WHERE $1::text IS NULL OR state = $1',
        [state === undefined ? null : storable(state)],
      );
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
