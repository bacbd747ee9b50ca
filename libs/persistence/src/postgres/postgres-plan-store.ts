import type { OutputChunkV1 } from '@dynflow/contracts';
import type { Changes, PlanStore, PlanVerdict, RecentRun, StoredPlan, SubPlanTally } from '@dynflow/engine';
import type { Pool } from 'pg';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import type { ColumnValue } from '../plans/row-values.js';
import { recentRun, recentRunsStatement, type RecentRunColumns } from '../plans/recent-runs.js';
import { chunkFromColumns, storedPlans } from '../plans/rows-from-columns.js';
import { commitQuery, storable } from './commit-statement.js';
import { subPlanTalliesStatement, subPlanTally, type SubPlanTallyColumns } from '../plans/sub-plan-tallies.js';
import { commitFailure, postgresFailure } from './postgres-errors.js';
import type { HeldShard } from '../tables/shard-store.js';
import { SharedLookup } from './shared-lookup.js';
import { snapshot } from './snapshot.js';

/** After this a commit counts as failed, whatever became of it: a server that is cut off would never answer. */
const COMMIT_TIMEOUT_MS = 60_000;

/**
 * The engine's store on PostgreSQL. A commit is one round trip.
 *
 * @throws UnavailableError (`DYN_DATABASE_UNAVAILABLE`) when the server cannot be reached or used. Where the connection broke in the
 * middle of a commit, that may or may not have happened: the plans must be read again.
 */
export class PostgresPlanStore implements PlanStore {
  readonly #pool: Pool;
  readonly #commits: Pool;
  readonly #held: () => readonly HeldShard[];
  readonly #existing: SharedLookup;

  /** `commits` is the pool that commits go through; `held` names the shards that must still be ours at each of them. */
  constructor(pool: Pool, commits: Pool, held: () => readonly HeldShard[]) {
    this.#pool = pool;
    this.#commits = commits;
    this.#held = held;
    this.#existing = new SharedLookup(async (ids) => {
      const { rows } = await pool.query<{ id: string }>('SELECT id FROM dynflow_execution_plans WHERE id = ANY ($1::text[])', [
        ids.map(storable),
      ]);
      return new Set(rows.map(({ id }) => id));
    });
  }

  async commit(changes: Changes): Promise<void> {
    try {
      // The types of pg do not know its limit for one query.
      const query = { ...commitQuery(changes, this.#held()), query_timeout: COMMIT_TIMEOUT_MS };
      await this.#commits.query(query);
    } catch (error) {
      throw commitFailure(error, changes.newPlans);
    }
  }

  async existing(ids: readonly string[]): Promise<Set<string>> {
    return this.#do(async () => this.#existing.ask(ids));
  }

  async byIdempotencyKeys(keys: readonly string[]): Promise<Map<string, string>> {
    const { rows } = await this.#do(async () =>
      this.#pool.query<{ id: string; idempotency_key: string }>(
        'SELECT id, idempotency_key FROM dynflow_execution_plans WHERE idempotency_key = ANY ($1::text[])',
        [keys.map(storable)],
      ),
    );
    return new Map(rows.map((row) => [row.idempotency_key, row.id]));
  }

  async verdicts(ids: readonly string[]): Promise<Map<string, PlanVerdict>> {
    const { rows } = await this.#do(async () =>
      this.#pool.query<PlanVerdict & { id: string }>('SELECT id, state, result FROM dynflow_execution_plans WHERE id = ANY ($1::text[])', [
        ids.map(storable),
      ]),
    );
    return new Map(rows.map(({ id, state, result }) => [id, { state, result }]));
  }

  async recentRuns(actions: readonly string[], sinceMs: number): Promise<RecentRun[]> {
    const statement = recentRunsStatement('a.name = ANY ($2::text[])', '$1::float8');
    const { rows } = await this.#do(async () => this.#pool.query<RecentRunColumns>(statement, [sinceMs, actions.map(storable)]));
    return rows.map(recentRun);
  }

  async loadUnfinished(): Promise<StoredPlan[]> {
    return this.#plansWhere("state IN ('pending', 'scheduled', 'planning', 'planned', 'running')", []);
  }

  async subPlanTallies(callerPlan: string): Promise<SubPlanTally[]> {
    const { rows } = await this.#do(async () =>
      this.#pool.query<SubPlanTallyColumns>(subPlanTalliesStatement('$1'), [storable(callerPlan)]),
    );
    return rows.map(subPlanTally);
  }

  async load(id: string): Promise<StoredPlan | null> {
    const [stored] = await this.#plansWhere('id = $1', [storable(id)]);
    return stored ?? null;
  }

  async chunks(plan: string, action: number): Promise<OutputChunkV1[]> {
    const { rows } = await this.#do(async () =>
      this.#pool.query<OutputChunkColumns>('SELECT * FROM dynflow_output_chunks WHERE plan_id = $1 AND action_id = $2 ORDER BY number', [
        storable(plan),
        action,
      ]),
    );
    return rows.map(chunkFromColumns);
  }

  async #plansWhere(condition: string, values: ColumnValue[]): Promise<StoredPlan[]> {
    return this.#do(async () =>
      snapshot(this.#pool, async (client) => {
        const plans = await client.query<ExecutionPlanColumns>(
          `SELECT * FROM dynflow_execution_plans WHERE ${condition} ORDER BY created_at, number`,
          values,
        );
        const ids = [plans.rows.map(({ id }) => id)];
        const actions = await client.query<ActionColumns>(ofPlans('dynflow_actions'), ids);
        const steps = await client.query<StepColumns>(ofPlans('dynflow_steps'), ids);
        return storedPlans(plans.rows, actions.rows, steps.rows);
      }),
    );
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw postgresFailure(error);
    }
  }
}

function ofPlans(table: string): string {
  return `SELECT * FROM ${table} WHERE plan_id = ANY ($1::text[]) ORDER BY plan_id, id`;
}
