import type { PlanView } from '@dynflow/contracts';
import type { Database, Statement } from 'better-sqlite3';
import { setImmediate } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { PlanResult, PlanState } from '@dynflow/engine';
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
} from '../plans/plan-views.js';
import { sqliteFailure } from './sqlite-errors.js';

/** So many plans are read at a stretch; then others have their turn, because a read blocks the process. */
const BATCH = 100;

/** Ids come as one parameter, a JSON array, so that a statement for any number of them is prepared once. */
const ASKED = '(SELECT value FROM json_each(?))';

/** Reads plans from SQLite, from the same connection that writes them. */
export class SqlitePlanReader implements PlanReader {
  readonly #source: DataSource;
  readonly #plans: Statement<[string], PlanViewColumns>;
  readonly #actions: Statement<[string], ActionViewColumns>;
  readonly #steps: Statement<[string], StepViewColumns>;
  readonly #chunks: Statement<[string], ChunkViewColumns>;
  readonly #states: Statement<[string], { id: string; state: PlanState; result: PlanResult }>;
  readonly #count: Statement<[], number>;
  readonly #countState: Statement<[string], number>;

  constructor(database: Database, source: DataSource) {
    this.#source = source;
    const ofPlans = (columns: readonly string[], table: string, order: string): string =>
      `SELECT ${columns.join(', ')} FROM ${table} WHERE plan_id IN ${ASKED} ORDER BY ${order}`;
    this.#plans = database.prepare(
      `SELECT ${PLAN_VIEW_COLUMNS.map((column) => `plan.${column}`).join(', ')} ` +
        'FROM json_each(?) AS asked CROSS JOIN dynflow_execution_plans AS plan ON plan.id = asked.value ORDER BY asked.key',
    );
    this.#actions = database.prepare(ofPlans(ACTION_VIEW_COLUMNS, 'dynflow_actions', 'plan_id, id'));
    this.#steps = database.prepare(ofPlans(STEP_VIEW_COLUMNS, 'dynflow_steps', 'plan_id, id'));
    this.#chunks = database.prepare(ofPlans(CHUNK_VIEW_COLUMNS, 'dynflow_output_chunks', 'number'));
    this.#states = database.prepare(`SELECT id, state, result FROM dynflow_execution_plans WHERE id IN ${ASKED}`);
    this.#count = database.prepare<[], number>('SELECT count(*) FROM dynflow_execution_plans').pluck();
    this.#countState = database.prepare<[string], number>('SELECT count(*) FROM dynflow_execution_plans WHERE state = ?').pluck();
  }

  async plans(ids: readonly string[]): Promise<PlanView[]> {
    const views: PlanView[] = [];
    const asked = [...new Set(ids)];
    for (let start = 0; start < asked.length; start += BATCH) {
      if (start > 0) {
        await setImmediate();
      }
      views.push(...this.#read(() => this.#viewsOf(JSON.stringify(asked.slice(start, start + BATCH)))));
    }
    return views;
  }

  async states(ids: readonly string[]): Promise<Map<string, { state: PlanState; result: PlanResult }>> {
    const rows = this.#read(() => this.#states.all(JSON.stringify(ids)));
    return Promise.resolve(new Map(rows.map(({ id, state, result }) => [id, { state, result }])));
  }

  async count(state?: string): Promise<number> {
    return Promise.resolve(this.#read(() => (state === undefined ? this.#count.get() : this.#countState.get(state)) ?? 0));
  }

  async list(query: PlanListQuery): Promise<PlanSummary[]> {
    try {
      return await listPlans(this.#source, query);
    } catch (error) {
      throw sqliteFailure(error);
    }
  }

  #viewsOf(ids: string): PlanView[] {
    return planViews({
      plans: this.#plans.all(ids),
      actions: this.#actions.all(ids),
      steps: this.#steps.all(ids),
      chunks: this.#chunks.all(ids),
    });
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw sqliteFailure(error);
    }
  }
}
