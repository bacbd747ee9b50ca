import type { SubPlanCounts } from '@dynflow/contracts';
import type { Plan, SettledSubPlans } from './model.js';
import { isUnplanned, outcomeOf } from './sub-plan-outcomes.js';

/** Whoever counts the sub-plans of a plan in the store, and must know whether one of them moved meanwhile. */
export interface SubPlanWatch {
  readonly hasChanged: boolean;
  end(): void;
}

/** The sub-plans that one action made and that are alive here, and how many of them may run at once. */
interface Family {
  limit: number | null;
  readonly isPlanning: Set<string>;
  readonly running: Set<string>;
  /** They start in this order. */
  readonly waiting: Set<string>;
  success: number;
  failed: number;
  /** Of the failed: they never ran. */
  unplanned: number;
  cancelled: number;
}

/**
 * Keeps account of sub-plans by the action that made them. It knows them by id only.
 *
 * Owns: who may start under a concurrency limit, and the counts. Does not own: starting them, or telling the caller.
 *
 * Invariants:
 * S1. With a limit, never more than that many of a family are started and not at rest; resumed and cancelled ones, which must not wait,
 *     excepted.
 * S2. What a turn changed can be taken back as long as that turn is not committed.
 */
export class SubPlans {
  readonly #families = new Map<string, Map<number, Family>>();
  readonly #watches = new Set<{ readonly caller: string; hasChanged: boolean }>();
  #undo: (() => void)[] = [];

  /** Notes from now on whether a sub-plan of this plan comes to rest or is resumed. */
  watch(caller: string): SubPlanWatch {
    const watch = { caller, hasChanged: false, end: (): void => void this.#watches.delete(watch) };
    this.#watches.add(watch);
    return watch;
  }

  /** The turn's changes are committed. */
  keep(): void {
    this.#undo = [];
  }

  /** The turn could not be committed: the account is again as it was before. */
  takeBack(): void {
    for (const undo of this.#undo.toReversed()) {
      undo();
    }
    this.#undo = [];
  }

  /** What is stored of an action's sub-plans that are at rest: the account of a loaded plan begins with it. */
  restore(caller: string, action: number, settled: SettledSubPlans): void {
    Object.assign(this.#familyOf(caller, action, null), settled);
  }

  /**
   * Takes a new, loaded or resumed sub-plan into account, or one that has its steps now. Telling it twice is harmless.
   *
   * @returns true if it may start now; otherwise it waits for a sibling to end.
   */
  admit(plan: Plan): boolean {
    if (plan.callerPlan === null) {
      return true;
    }
    const family = this.#familyOf(plan.callerPlan, plan.callerAction ?? 0, plan.concurrencyLimit);
    if (plan.state === 'planning' || plan.state === 'scheduled') {
      this.#add(family.isPlanning, plan.id);
      return false;
    }
    if (family.running.has(plan.id)) {
      return true;
    }
    if (plan.state !== 'running' && family.waiting.has(plan.id)) {
      return false;
    }
    this.#remove(family.isPlanning, plan.id);
    this.#remove(family.waiting, plan.id);
    if (plan.state === 'paused') {
      this.#noteChange(plan.callerPlan);
      this.#count(family, 'failed', -Math.min(1, family.failed));
    } else if (plan.state !== 'running' && family.limit !== null && family.running.size >= family.limit) {
      this.#add(family.waiting, plan.id);
      return false;
    }
    this.#add(family.running, plan.id);
    return true;
  }

  /** A sub-plan was found at rest in the store: its end is in the counts that were restored. */
  forget(caller: string | null, action: number | null, id: string): void {
    const family = caller === null ? undefined : this.#families.get(caller)?.get(action ?? 0);
    if (family !== undefined && caller !== null) {
      this.#noteChange(caller);
      this.#remove(family.isPlanning, id);
      this.#remove(family.running, id);
      this.#remove(family.waiting, id);
    }
  }

  /**
   * A sub-plan came to rest, or never got beyond its planning. The account is kept while the caller may still ask for its counts.
   *
   * @returns ids of the siblings that may start now.
   */
  release(plan: Plan, isCallerActive: boolean): string[] {
    if (plan.callerPlan === null) {
      return [];
    }
    const action = plan.callerAction ?? 0;
    const family = this.#familyOf(plan.callerPlan, action, plan.concurrencyLimit);
    this.#remove(family.isPlanning, plan.id);
    this.#remove(family.running, plan.id);
    this.#remove(family.waiting, plan.id);
    this.#noteChange(plan.callerPlan);
    this.#count(family, outcomeOf(plan), 1);
    if (isUnplanned(plan)) {
      this.#count(family, 'unplanned', 1);
    }
    const started = family.waiting.size === 0 ? [] : this.#startNext(family, (family.limit ?? Infinity) - family.running.size);
    if (!isCallerActive && !isAlive(family)) {
      this.#delete(plan.callerPlan, action, family);
    }
    return started;
  }

  /** That many of an action's sub-plans that wait may start now, whatever the limit. @returns their ids. */
  startWaiting(caller: string, action: number, count: number): string[] {
    const family = this.#families.get(caller)?.get(action);
    return family === undefined ? [] : this.#startNext(family, count);
  }

  /** Ids of an action's sub-plans that wait for the limit. */
  waitingOf(caller: string, action: number): string[] {
    return [...(this.#families.get(caller)?.get(action)?.waiting ?? [])];
  }

  /** The caller itself came to rest, and that is committed: its account goes with its last sub-plan. */
  callerRests(caller: string): void {
    for (const [action, family] of this.#families.get(caller) ?? []) {
      if (!isAlive(family)) {
        this.#families.get(caller)?.delete(action);
      }
    }
    if (this.#families.get(caller)?.size === 0) {
      this.#families.delete(caller);
    }
  }

  /** Lets a waiting sub-plan start whatever the limit: it is to be cancelled, and that must not wait. */
  startAnyway(plan: Plan): boolean {
    const family = plan.callerPlan === null ? undefined : this.#families.get(plan.callerPlan)?.get(plan.callerAction ?? 0);
    if (family === undefined || !this.#remove(family.waiting, plan.id)) {
      return false;
    }
    this.#add(family.running, plan.id);
    return true;
  }

  /** Ids of a plan's sub-plans that are not at rest, of all its actions. */
  activeOf(caller: string): string[] {
    return [...(this.#families.get(caller)?.values() ?? [])].flatMap(({ isPlanning, running, waiting }) => [
      ...isPlanning,
      ...running,
      ...waiting,
    ]);
  }

  countsOf(caller: string, action: number): SubPlanCounts | undefined {
    const family = this.#families.get(caller)?.get(action);
    if (family === undefined) {
      return undefined;
    }
    const { success, failed, unplanned, cancelled } = family;
    const waiting = family.waiting.size;
    const pending = family.isPlanning.size + family.running.size + waiting;
    return { total: pending + success + failed + cancelled, pending, waiting, success, failed, unplanned, cancelled };
  }

  #startNext(family: Family, count: number): string[] {
    const started: string[] = [];
    for (const next of family.waiting) {
      if (started.length >= count) {
        break;
      }
      this.#remove(family.waiting, next);
      this.#add(family.running, next);
      started.push(next);
    }
    return started;
  }

  #noteChange(caller: string): void {
    for (const watch of this.#watches) {
      watch.hasChanged ||= watch.caller === caller;
    }
  }

  #familyOf(caller: string, action: number, limit: number | null): Family {
    const families = this.#families.get(caller) ?? new Map<number, Family>();
    this.#families.set(caller, families);
    const known = families.get(action);
    if (known !== undefined) {
      // An account that was restored knows its limit from the first sub-plan.
      known.limit ??= limit;
      return known;
    }
    const family: Family = {
      limit,
      isPlanning: new Set(),
      running: new Set(),
      waiting: new Set(),
      success: 0,
      failed: 0,
      unplanned: 0,
      cancelled: 0,
    };
    families.set(action, family);
    this.#undo.push(() => void families.delete(action));
    return family;
  }

  #delete(caller: string, action: number, family: Family): void {
    const families = this.#families.get(caller);
    families?.delete(action);
    if (families?.size === 0) {
      this.#families.delete(caller);
    }
    this.#undo.push(() => {
      this.#families.set(caller, (this.#families.get(caller) ?? new Map<number, Family>()).set(action, family));
    });
  }

  #add(ids: Set<string>, id: string): void {
    if (!ids.has(id)) {
      ids.add(id);
      this.#undo.push(() => void ids.delete(id));
    }
  }

  #remove(ids: Set<string>, id: string): boolean {
    if (!ids.delete(id)) {
      return false;
    }
    this.#undo.push(() => void ids.add(id));
    return true;
  }

  #count(family: Family, what: keyof SettledSubPlans, by: number): void {
    family[what] += by;
    this.#undo.push(() => {
      family[what] -= by;
    });
  }
}

function isAlive(family: Family): boolean {
  return family.isPlanning.size + family.running.size + family.waiting.size > 0;
}
