import type { Database, Statement } from 'better-sqlite3';
import { setImmediate } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { PlanResult, PlanState } from '@dynflow/engine';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import { listPlans } from '../plans/list-plans.js';
import type { PlanListQuery, PlanReader, PlanSummary } from '../plans/plan-reader.js';
import { storedPlans } from '../plans/rows-from-columns.js';
import { planViews, type StoredPlanView } from '../plans/stored-plan-view.js';
import { sqliteFailure } from './sqlite-errors.js';

/** So many plans are read at a stretch; then others have their turn, because a read blocks the process. */
const BATCH = 100;

/** Ids come as one parameter, a JSON array, so that a statement for any number of them is prepared once. */
const ASKED = '(SELECT value FROM json_each(?))';

/** Reads plans from SQLite, from the same connection that writes them. */
export class SqlitePlanReader implements PlanReader {
  readonly #source: DataSource;
  readonly #plans: Statement<[string], ExecutionPlanColumns>;
  readonly #actions: Statement<[string], ActionColumns>;
  readonly #steps: Statement<[string], StepColumns>;
  readonly #chunks: Statement<[string], OutputChunkColumns>;
  readonly #states: Statement<[string], { id: string; state: PlanState; result: PlanResult }>;
  readonly #count: Statement<[], number>;
  readonly #countState: Statement<[string], number>;

  constructor(database: Database, source: DataSource) {
    this.#source = source;
    this.#plans = database.prepare(
      'SELECT plan.* FROM json_each(?) AS asked CROSS JOIN dynflow_execution_plans AS plan ON plan.id = asked.value ORDER BY asked.key',
    );
    this.#actions = database.prepare(`SELECT * FROM dynflow_actions WHERE plan_id IN ${ASKED} ORDER BY plan_id, id`);
    this.#steps = database.prepare(`SELECT * FROM dynflow_steps WHERE plan_id IN ${ASKED} ORDER BY plan_id, id`);
    this.#chunks = database.prepare(`SELECT * FROM dynflow_output_chunks WHERE plan_id IN ${ASKED} ORDER BY number`);
    this.#states = database.prepare(`SELECT id, state, result FROM dynflow_execution_plans WHERE id IN ${ASKED}`);
    this.#count = database.prepare<[], number>('SELECT count(*) FROM dynflow_execution_plans').pluck();
    this.#countState = database.prepare<[string], number>('SELECT count(*) FROM dynflow_execution_plans WHERE state = ?').pluck();
  }

  async plans(ids: readonly string[]): Promise<StoredPlanView[]> {
    const views: StoredPlanView[] = [];
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

  #viewsOf(ids: string): StoredPlanView[] {
    return planViews(storedPlans(this.#plans.all(ids), this.#actions.all(ids), this.#steps.all(ids)), this.#chunks.all(ids));
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw sqliteFailure(error);
    }
  }
}
