import type { Database, Statement } from 'better-sqlite3';
import type { OutputChunkV1 } from '@dynflow/contracts';
import type { Changes, PlanRow, PlanStore, PlanVerdict, RecentRun, StoredPlan, SubPlanTally } from '@dynflow/engine';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import { DuplicatePlanError, StoreMismatchError } from '../errors.js';
import {
  ACTION_CHANGES,
  ACTION_COLUMNS,
  CHUNK_COLUMNS,
  PLAN_CHANGES,
  PLANNED_CHANGES,
  PLAN_COLUMNS,
  STEP_CHANGES,
  STEP_COLUMNS,
  actionChangeValues,
  actionValues,
  attributeValues,
  chunkValues,
  dependencyValues,
  planChangeValues,
  plannedChangeValues,
  planValues,
  stepChangeValues,
  stepValues,
  type ColumnValue,
} from '../plans/row-values.js';
import { recentRun, recentRunsStatement, type RecentRunColumns } from '../plans/recent-runs.js';
import { chunkFromColumns, storedPlans } from '../plans/rows-from-columns.js';
import { subPlanTalliesStatement, subPlanTally, type SubPlanTallyColumns } from '../plans/sub-plan-tallies.js';
import { isUniqueViolation, sqliteFailure } from './sqlite-errors.js';

type Write = Statement<[ColumnValue[]]>;

const OPEN_STATES = "('pending', 'scheduled', 'planning', 'planned', 'running')";

/**
 * The engine's store on SQLite: synchronous, so a turn pays for the statements and for one write to disk, and for no promise.
 *
 * A commit is durable when it returns (on a file), and all or nothing.
 *
 * @throws UnavailableError (`DYN_DATABASE_UNAVAILABLE`) when the disk is full or fails; StoreMismatchError when a row to be changed is
 * not there; DuplicatePlanError.
 */
export class SqlitePlanStore implements PlanStore {
  readonly #database: Database;
  readonly #begin: Statement<[]>;
  readonly #commit: Statement<[]>;
  readonly #insertPlan: Write;
  readonly #insertAttribute: Statement<[number | bigint, string, string]>;
  readonly #insertDependency: Statement<[string, string]>;
  readonly #insertAction: Write;
  readonly #insertStep: Write;
  readonly #replaceAction: Write;
  readonly #replaceStep: Write;
  readonly #insertChunk: Write;
  readonly #updatePlan: Write;
  readonly #updatePlanned: Write;
  readonly #updateAction: Write;
  readonly #updateStep: Write;
  readonly #existing: Statement<[string], string>;
  readonly #verdicts: Statement<[string], PlanVerdict & { id: string }>;
  readonly #byIdempotencyKeys: Statement<[string], { id: string; idempotency_key: string }>;
  readonly #chunks: Statement<[string, number], OutputChunkColumns>;
  readonly #recentRuns: Statement<[number, string, number], RecentRunColumns>;
  readonly #tallies: Statement<[string], SubPlanTallyColumns>;
  readonly #one: PlanStatements<[string]>;
  readonly #unfinished: PlanStatements<[]>;

  constructor(database: Database) {
    this.#database = database;
    const insert = (table: string, columns: readonly string[], otherwise = ''): Write =>
      database.prepare<[ColumnValue[]]>(
        `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})${otherwise}`,
      );
    const update = (table: string, columns: readonly string[], key: string): Write =>
      database.prepare<[ColumnValue[]]>(`UPDATE ${table} SET ${columns.map((column) => `${column} = ?`).join(', ')} WHERE ${key}`);
    // Immediate: the lock is taken before the first row, and not in the middle.
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#insertPlan = insert('dynflow_execution_plans', PLAN_COLUMNS);
    this.#insertAttribute = database.prepare('INSERT INTO dynflow_plan_attributes (plan_number, name, value) VALUES (?, ?, ?)');
    this.#insertDependency = database.prepare('INSERT INTO dynflow_plan_dependencies (plan_id, after_id) VALUES (?, ?)');
    this.#insertAction = insert('dynflow_actions', ACTION_COLUMNS);
    this.#insertStep = insert('dynflow_steps', STEP_COLUMNS);
    this.#replaceAction = insert('dynflow_actions', ACTION_COLUMNS, replacing(ACTION_COLUMNS));
    this.#replaceStep = insert('dynflow_steps', STEP_COLUMNS, replacing(STEP_COLUMNS));
    this.#insertChunk = insert('dynflow_output_chunks', CHUNK_COLUMNS);
    this.#updatePlan = update('dynflow_execution_plans', PLAN_CHANGES, 'id = ?');
    this.#updatePlanned = update('dynflow_execution_plans', PLANNED_CHANGES, 'id = ?');
    this.#updateAction = update('dynflow_actions', ACTION_CHANGES, 'plan_id = ? AND id = ?');
    this.#updateStep = update('dynflow_steps', STEP_CHANGES, 'plan_id = ? AND id = ?');
    this.#existing = database
      .prepare<[string], string>('SELECT id FROM dynflow_execution_plans WHERE id IN (SELECT value FROM json_each(?))')
      .pluck();
    this.#verdicts = database.prepare('SELECT id, state, result FROM dynflow_execution_plans WHERE id IN (SELECT value FROM json_each(?))');
    this.#byIdempotencyKeys = database.prepare(
      'SELECT id, idempotency_key FROM dynflow_execution_plans WHERE idempotency_key IN (SELECT value FROM json_each(?))',
    );
    this.#chunks = database.prepare('SELECT * FROM dynflow_output_chunks WHERE plan_id = ? AND action_id = ? ORDER BY number');
    this.#recentRuns = database.prepare(recentRunsStatement('a.name IN (SELECT value FROM json_each(?))', '?'));
    this.#tallies = database.prepare(subPlanTalliesStatement('?'));
    this.#one = planStatements(database, '= ?', 'id = ?');
    this.#unfinished = planStatements(
      database,
      `IN (SELECT id FROM dynflow_execution_plans WHERE state IN ${OPEN_STATES})`,
      `state IN ${OPEN_STATES}`,
    );
  }

  commit(changes: Changes): void {
    try {
      this.#begin.run();
      this.#insertPlans(changes.newPlans);
      // A plan that was stored before it was planned may have its root action and plan step already.
      const stored = new Set(changes.plans.map(({ id }) => id));
      const planned = new Set(stored.size === 0 ? [] : changes.newSteps.flatMap(({ plan }) => (stored.has(plan) ? plan : [])));
      for (const row of changes.newActions) {
        (planned.has(row.plan) ? this.#replaceAction : this.#insertAction).run(actionValues(row));
      }
      for (const row of changes.newSteps) {
        (planned.has(row.plan) ? this.#replaceStep : this.#insertStep).run(stepValues(row));
      }
      this.#updatePlans(changes.plans, planned);
      for (const row of changes.actions) {
        expectOne(this.#updateAction.run(actionChangeValues(row)).changes, `action ${row.id} of plan ${row.plan}`);
      }
      for (const row of changes.steps) {
        expectOne(this.#updateStep.run(stepChangeValues(row)).changes, `step ${row.id} of plan ${row.plan}`);
      }
      for (const row of changes.chunks) {
        this.#insertChunk.run(chunkValues(row));
      }
      this.#commit.run();
    } catch (error) {
      this.#rollBack();
      throw sqliteFailure(error);
    }
  }

  existing(ids: readonly string[]): Set<string> {
    return this.#read(() => new Set(ids.length === 0 ? [] : this.#existing.all(JSON.stringify(ids))));
  }

  byIdempotencyKeys(keys: readonly string[]): Map<string, string> {
    return this.#read(
      () => new Map(keys.length === 0 ? [] : this.#byIdempotencyKeys.all(JSON.stringify(keys)).map((row) => [row.idempotency_key, row.id])),
    );
  }

  verdicts(ids: readonly string[]): Map<string, PlanVerdict> {
    return this.#read(() => new Map(this.#verdicts.all(JSON.stringify(ids)).map(({ id, state, result }) => [id, { state, result }])));
  }

  recentRuns(actions: readonly string[], sinceMs: number): RecentRun[] {
    return this.#read(() => this.#recentRuns.all(sinceMs, JSON.stringify(actions), sinceMs).map(recentRun));
  }

  loadUnfinished(): StoredPlan[] {
    return this.#read(() => {
      const { plans, actions, steps } = this.#unfinished;
      return storedPlans(plans.all(), actions.all(), steps.all());
    });
  }

  subPlanTallies(callerPlan: string): SubPlanTally[] {
    return this.#read(() => this.#tallies.all(callerPlan).map(subPlanTally));
  }

  load(id: string): StoredPlan | null {
    return this.#read(() => {
      const { plans, actions, steps } = this.#one;
      return storedPlans(plans.all(id), actions.all(id), steps.all(id))[0] ?? null;
    });
  }

  chunks(plan: string, action: number): OutputChunkV1[] {
    return this.#read(() => this.#chunks.all(plan, action).map(chunkFromColumns));
  }

  #insertPlans(rows: readonly PlanRow[]): void {
    for (const row of rows) {
      try {
        const { lastInsertRowid } = this.#insertPlan.run(planValues(row));
        this.#insertFoundBy(row, lastInsertRowid);
      } catch (error) {
        throw isUniqueViolation(error) ? new DuplicatePlanError(row.id, error) : error;
      }
    }
  }

  #insertFoundBy(row: PlanRow, number: number | bigint): void {
    for (const [name, value] of attributeValues(row)) {
      this.#insertAttribute.run(number, name, value);
    }
    for (const after of dependencyValues(row)) {
      this.#insertDependency.run(row.id, after);
    }
  }

  #updatePlans(plans: Changes['plans'], planned: ReadonlySet<string>): void {
    for (const row of plans) {
      const { changes } = planned.has(row.id)
        ? this.#updatePlanned.run(plannedChangeValues(row))
        : this.#updatePlan.run(planChangeValues(row));
      expectOne(changes, `plan ${row.id}`);
    }
  }

  #rollBack(): void {
    // A failure of the disk may have ended the transaction already.
    if (this.#database.open && this.#database.inTransaction) {
      try {
        this.#database.exec('ROLLBACK');
      } catch {
        // The failure that brought us here is the one to tell; the next BEGIN says if the connection is beyond repair.
      }
    }
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw sqliteFailure(error);
    }
  }
}

interface PlanStatements<Parameters extends unknown[]> {
  readonly plans: Statement<Parameters, ExecutionPlanColumns>;
  readonly actions: Statement<Parameters, ActionColumns>;
  readonly steps: Statement<Parameters, StepColumns>;
}

function planStatements<Parameters extends unknown[]>(database: Database, planIds: string, plansWhere: string): PlanStatements<Parameters> {
  return {
    plans: database.prepare(`SELECT * FROM dynflow_execution_plans WHERE ${plansWhere} ORDER BY created_at, number`),
    actions: database.prepare(`SELECT * FROM dynflow_actions WHERE plan_id ${planIds} ORDER BY plan_id, id`),
    steps: database.prepare(`SELECT * FROM dynflow_steps WHERE plan_id ${planIds} ORDER BY plan_id, id`),
  };
}

/** The rest of an insert that writes over the row with the same key. */
function replacing(columns: readonly string[]): string {
  return ` ON CONFLICT (plan_id, id) DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}

function expectOne(changes: number, what: string): void {
  if (changes !== 1) {
    throw new StoreMismatchError(`${what} is to be changed and is not in the database`);
  }
}
