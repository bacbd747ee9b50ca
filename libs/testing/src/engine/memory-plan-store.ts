import { UnavailableError } from '@dynflow/kernel';
import type { OutputChunkV1 } from '@dynflow/contracts';
import {
  begunTimes,
  type ActionRow,
  type Changes,
  type ChunkRow,
  type PlanRow,
  type PlanStore,
  type PlanVerdict,
  type RecentRun,
  type StepRow,
  type StoredPlan,
  type SubPlanTally,
} from '@dynflow/engine';

/** One table: rows by plan and id, in the order in which they were added. */
type Table<Row> = Map<string, Map<number, Row>>;

/**
 * A plan store over maps of rows. Rows are copied on their way in and out, so that what is read is what was committed and nothing else.
 *
 * It is strict: a commit that adds a row twice, or changes one that does not exist, fails as in a database, and a commit in which one
 * row stands twice is noted in {@link doubledRows}. As there, a plan that gets its steps later may write over what it has of them.
 */
export class MemoryPlanStore implements PlanStore {
  readonly #plans = new Map<string, PlanRow>();
  readonly #actions: Table<ActionRow> = new Map();
  readonly #steps: Table<StepRow> = new Map();
  readonly #chunks = new Map<string, ChunkRow[]>();
  #failures: { error: unknown; isWritten: boolean }[] = [];
  #held: (() => void)[] | null = null;

  /** Every commit that was written, oldest first. */
  readonly commits: Changes[] = [];
  /** Rows that stood twice in one commit: the engine promises that there are none. */
  readonly doubledRows: string[] = [];
  /** Answers with promises, like a store over a network. */
  isAsync = false;
  /** Refuses everything, as a database that cannot be reached. */
  isAway = false;
  /** Called after each written commit with its number, from 1; before the engine knows of it. */
  onCommit: ((number: number) => void) | undefined;

  /** The next commit fails: nothing of it is written, or, with `isWritten`, all of it and only the answer is lost. */
  failNextCommit(
    error: unknown = new UnavailableError('DYN_STORE_AWAY', 'the store is away'),
    options: { isWritten?: boolean } = {},
  ): void {
    this.#failures.push({ error, isWritten: options.isWritten ?? false });
  }

  /** Takes back what {@link failNextCommit} asked for and did not happen yet. */
  clearFailures(): void {
    this.#failures = [];
  }

  /** Commits wait until {@link letGo}. */
  hold(): void {
    this.#held ??= [];
  }

  letGo(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const write of held) {
      write();
    }
  }

  commit(changes: Changes): void | Promise<void> {
    const copy = structuredClone(changes);
    const held = this.#held;
    if (held !== null) {
      return new Promise((resolve, reject) => {
        held.push(() => {
          try {
            resolve(this.#write(copy));
          } catch (error) {
            reject(asError(error));
          }
        });
      });
    }
    return this.#answer(() => this.#write(copy));
  }

  existing(ids: readonly string[]): Set<string> | Promise<Set<string>> {
    return this.#answer(() => new Set(ids.filter((id) => this.#plans.has(id))));
  }

  byIdempotencyKeys(keys: readonly string[]): Map<string, string> | Promise<Map<string, string>> {
    return this.#answer(
      () =>
        new Map(
          [...this.#plans.values()].flatMap(({ id, idempotencyKey }) =>
            idempotencyKey !== null && keys.includes(idempotencyKey) ? [[idempotencyKey, id] as const] : [],
          ),
        ),
    );
  }

  verdicts(ids: readonly string[]): Map<string, PlanVerdict> | Promise<Map<string, PlanVerdict>> {
    return this.#answer(
      () =>
        new Map(
          ids.flatMap((id) => {
            const plan = this.#plans.get(id);
            return plan === undefined ? [] : [[id, { state: plan.state, result: plan.result }] as const];
          }),
        ),
    );
  }

  recentRuns(actions: readonly string[], sinceMs: number): RecentRun[] | Promise<RecentRun[]> {
    return this.#answer(() =>
      this.planIds.flatMap((id) =>
        rowsOf(this.#steps, id).flatMap((step) => {
          const action = this.#actions.get(id)?.get(step.action);
          const isRecent = (step.endedAtMs ?? step.startedAtMs ?? 0) >= sinceMs;
          return action !== undefined && step.kind === 'run' && isRecent && actions.includes(action.name)
            ? { action: action.name, version: action.version, input: action.input, step: `${id}/${step.id}`, begunAtMs: begunTimes(step) }
            : [];
        }),
      ),
    );
  }

  loadUnfinished(): StoredPlan[] | Promise<StoredPlan[]> {
    return this.#answer(() =>
      [...this.#plans.values()]
        .filter(({ state }) => state !== 'stopped' && state !== 'paused')
        .toSorted((a, b) => a.createdAtMs - b.createdAtMs)
        .flatMap(({ id }) => this.read(id) ?? []),
    );
  }

  subPlanTallies(callerPlan: string): SubPlanTally[] | Promise<SubPlanTally[]> {
    return this.#answer(() => {
      const tallies = new Map<string, SubPlanTally>();
      for (const plan of this.#plans.values()) {
        if (plan.callerPlan === callerPlan && (plan.state === 'stopped' || plan.state === 'paused')) {
          const outcome = this.#outcomeOf(plan);
          const key = `${plan.callerAction} ${outcome}`;
          tallies.set(key, { callerAction: plan.callerAction ?? 0, outcome, count: (tallies.get(key)?.count ?? 0) + 1 });
        }
      }
      return [...tallies.values()];
    });
  }

  #outcomeOf(plan: PlanRow): SubPlanTally['outcome'] {
    if (plan.result === 'success') {
      return 'success';
    }
    if (plan.isCancelRequested || plan.result === 'cancelled') {
      return 'cancelled';
    }
    const root = this.#steps.get(plan.id)?.get(1);
    return root?.kind === 'plan' && root.state === 'error' ? 'unplanned' : 'failed';
  }

  load(id: string): StoredPlan | null | Promise<StoredPlan | null> {
    return this.#answer(() => this.read(id));
  }

  chunks(plan: string, action: number): OutputChunkV1[] | Promise<OutputChunkV1[]> {
    return this.#answer(() => this.readChunks(plan, action));
  }

  /** What is stored of a plan now, whatever {@link isAway} says: for tests to look at. */
  read(id: string): StoredPlan | null {
    const plan = this.#plans.get(id);
    return plan === undefined ? null : structuredClone({ plan, actions: rowsOf(this.#actions, id), steps: rowsOf(this.#steps, id) });
  }

  readChunks(plan: string, action: number): OutputChunkV1[] {
    return (this.#chunks.get(plan) ?? [])
      .filter((row) => row.action === action)
      .map(({ plan: _plan, action: _action, ...chunk }) => structuredClone(chunk));
  }

  /** Ids of all plans, oldest first. */
  get planIds(): string[] {
    return [...this.#plans.keys()];
  }

  #answer<T>(make: () => T): T | Promise<T> {
    if (this.isAsync) {
      return Promise.resolve().then(() => this.#unlessAway(make));
    }
    return this.#unlessAway(make);
  }

  #unlessAway<T>(make: () => T): T {
    if (this.isAway) {
      throw new UnavailableError('DYN_STORE_AWAY', 'the store is away');
    }
    return make();
  }

  #write(changes: Changes): void {
    const failure = this.#failures.shift();
    if (failure !== undefined && !failure.isWritten) {
      throw failure.error;
    }
    this.#apply(changes);
    this.commits.push(changes);
    this.onCommit?.(this.commits.length);
    if (failure !== undefined) {
      throw failure.error;
    }
  }

  /** All or nothing: everything is checked before anything is written. */
  #apply(changes: Changes): void {
    const seen = new Set<string>();
    const check = (kind: string, key: string, isThere: boolean, mustBeThere: boolean): void => {
      const name = `${kind} ${key}`;
      if (seen.has(name)) {
        this.doubledRows.push(name);
      }
      seen.add(name);
      if (isThere !== mustBeThere) {
        throw new Error(mustBeThere ? `no row to change: ${name}` : `UNIQUE constraint failed: ${name}`);
      }
    };
    changes.newPlans.forEach(({ id }) => check('plan', id, this.#plans.has(id), false));
    for (const key of changes.newPlans.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])) {
      const withIt = [...this.#plans.values(), ...changes.newPlans].filter(({ idempotencyKey }) => idempotencyKey === key);
      if (withIt.length > 1) {
        throw new Error(`UNIQUE constraint failed: idempotency key ${key}`);
      }
    }
    changes.plans.forEach(({ id }) => check('plan', id, this.#plans.has(id), true));
    const changed = new Set(changes.plans.map(({ id }) => id));
    const planned = new Set(changes.newSteps.flatMap(({ plan }) => (changed.has(plan) ? plan : [])));
    const isInTheWay = (table: Table<ActionRow | StepRow>, plan: string, id: number): boolean =>
      !planned.has(plan) && (table.get(plan)?.has(id) ?? false);
    changes.newActions.forEach(({ plan, id }) => check('action', `${plan}/${id}`, isInTheWay(this.#actions, plan, id), false));
    changes.actions.forEach(({ plan, id }) => check('action', `${plan}/${id}`, this.#actions.get(plan)?.has(id) ?? false, true));
    changes.newSteps.forEach(({ plan, id }) => check('step', `${plan}/${id}`, isInTheWay(this.#steps, plan, id), false));
    changes.steps.forEach(({ plan, id }) => check('step', `${plan}/${id}`, this.#steps.get(plan)?.has(id) ?? false, true));
    [...changes.newPlans, ...changes.plans].forEach((row) => this.#plans.set(row.id, row));
    [...changes.newActions, ...changes.actions].forEach((row) => putRow(this.#actions, row));
    [...changes.newSteps, ...changes.steps].forEach((row) => putRow(this.#steps, row));
    changes.chunks.forEach((row) => this.#chunks.set(row.plan, [...(this.#chunks.get(row.plan) ?? []), row]));
  }
}

function rowsOf<Row extends { id: number }>(table: Table<Row>, plan: string): Row[] {
  return [...(table.get(plan)?.values() ?? [])].toSorted((a, b) => a.id - b.id);
}

function putRow<Row extends { plan: string; id: number }>(table: Table<Row>, row: Row): void {
  const rows = table.get(row.plan) ?? new Map<number, Row>();
  rows.set(row.id, row);
  table.set(row.plan, rows);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
