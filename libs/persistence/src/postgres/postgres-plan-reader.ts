import type { PlanCount, PlanFilter, PlanQuery, PlanSummary, PlanView } from '@dynflow/contracts';
import type { PlanResult, PlanState } from '@dynflow/engine';
import type { Pool, PoolClient } from 'pg';
import type { PlanReader } from '../plans/plan-reader.js';
import { PlanSearch } from '../plans/plan-search.js';
import type { SqlPart } from '../plans/search-filter.js';
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
  readonly #search: PlanSearch;

  constructor(pool: Pool) {
    this.#pool = pool;
    this.#search = new PlanSearch('postgres', async (statement) => this.#do(async () => this.#found(statement)));
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

  async states(which: readonly string[] | PlanFilter): Promise<Map<string, { state: PlanState; result: PlanResult }>> {
    const rows = await this.#search.states(Array.isArray(which) ? { id: which as readonly string[] } : (which as PlanFilter));
    return new Map(rows.map(({ id, state, result }) => [id, { state, result }]));
  }

  async count(which: string | PlanFilter = {}): Promise<number> {
    return this.#search.count(typeof which === 'string' ? { state: which } : which);
  }

  async counts(filter: PlanFilter): Promise<PlanCount[]> {
    return this.#search.counts(filter);
  }

  async list(query: PlanQuery): Promise<PlanSummary[]> {
    return this.#search.list(query);
  }

  async prerequisites(plan: string): Promise<string[]> {
    const rows = await this.#do(async () =>
      this.#found<{ after_id: string }>({
        text: 'SELECT after_id FROM dynflow_plan_dependencies WHERE plan_id = ? ORDER BY after_id',
        values: [plan],
      }),
    );
    return rows.map((row) => row.after_id);
  }

  async #found<Row>({ text, values }: SqlPart): Promise<Row[]> {
    let parameters = 0;
    const numbered = text.replaceAll('?', () => `$${(parameters += 1)}`);
    const { rows } = await this.#pool.query(numbered, values.map(storableValue));
    return rows as Row[];
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw postgresFailure(error);
    }
  }
}

function storableValue(value: SqlPart['values'][number]): unknown {
  return typeof value === 'object' ? value.map(storable) : storable(value);
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
