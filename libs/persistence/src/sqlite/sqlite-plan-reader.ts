import type { PlanCount, PlanFilter, PlanQuery, PlanSummary, PlanView } from '@dynflow/contracts';
import type { Database, Statement } from 'better-sqlite3';
import { setImmediate } from 'node:timers/promises';
import type { PlanResult, PlanState } from '@dynflow/engine';
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
} from '../plans/plan-views.js';
import { sqliteFailure } from './sqlite-errors.js';

/** So many plans are read at a stretch; then others have their turn, because a read blocks the process. */
const BATCH = 100;

/** So many kinds of search are kept prepared. */
const SEARCHES = 200;

/** Ids come as one parameter, a JSON array, so that a statement for any number of them is prepared once. */
const ASKED = '(SELECT value FROM json_each(?))';

/** Reads plans from SQLite, from the same connection that writes them. */
export class SqlitePlanReader implements PlanReader {
  readonly #database: Database;
  readonly #search: PlanSearch;
  /** Searches that were made, by their text: there are few kinds, and the list is bounded all the same. */
  readonly #searches = new Map<string, Statement<unknown[]>>();
  readonly #plans: Statement<[string], PlanViewColumns>;
  readonly #actions: Statement<[string], ActionViewColumns>;
  readonly #steps: Statement<[string], StepViewColumns>;
  readonly #chunks: Statement<[string], ChunkViewColumns>;
  readonly #states: Statement<[string], { id: string; state: PlanState; result: PlanResult }>;
  readonly #prerequisites: Statement<[string], string>;

  /** `few` is for tests: so many plans are sorted rather than found in their order. */
  constructor(database: Database, few?: number) {
    this.#database = database;
    this.#search = new PlanSearch('sqlite', async (statement) => Promise.resolve(this.#read(() => this.#found(statement))), few);
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
    this.#prerequisites = database
      .prepare<[string], string>('SELECT after_id FROM dynflow_plan_dependencies WHERE plan_id = ? ORDER BY after_id')
      .pluck();
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

  async states(which: readonly string[] | PlanFilter): Promise<Map<string, { state: PlanState; result: PlanResult }>> {
    const rows = isList(which) ? this.#read(() => this.#states.all(JSON.stringify(which))) : await this.#search.states(which);
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
    return Promise.resolve(this.#read(() => this.#prerequisites.all(plan)));
  }

  #found<Row>({ text, values }: SqlPart): Row[] {
    const statement = this.#searches.get(text) ?? this.#database.prepare<unknown[]>(text);
    if (this.#searches.size >= SEARCHES) {
      this.#searches.clear();
    }
    this.#searches.set(text, statement);
    return statement.all(...values) as Row[];
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

function isList(which: readonly string[] | PlanFilter): which is readonly string[] {
  return Array.isArray(which);
}
