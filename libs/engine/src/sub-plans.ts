import type { SubPlanCounts } from '@dynflow/contracts';
import type { Plan } from './model.js';
import { resultOf } from './states.js';

/** The sub-plans of one plan that are alive here, and how many of them may run at once. */
interface Family {
  readonly limit: number | null;
  readonly running: Set<string>;
  readonly waiting: Plan[];
  readonly counts: SubPlanCounts;
}

/**
 * Keeps account of sub-plans by their caller. Owns: who may start under a concurrency limit, and the counts. Does not own: starting
 * them, or telling the caller. Invariant: with a limit, never more than that many of a family are started and not at rest.
 */
export class SubPlans {
  readonly #families = new Map<string, Family>();

  /** Takes a new (or loaded) sub-plan into account. @returns true if it may start now; otherwise it waits for a sibling to end. */
  admit(plan: Plan): boolean {
    if (plan.callerPlan === null) {
      return true;
    }
    const family = this.#familyOf(plan.callerPlan, plan.concurrencyLimit);
    family.counts.total += 1;
    family.counts.pending += 1;
    if (plan.state !== 'running' && family.limit !== null && family.running.size >= family.limit) {
      family.waiting.push(plan);
      return false;
    }
    family.running.add(plan.id);
    return true;
  }

  /**
   * A sub-plan came to rest. The account is kept while the caller may still ask for its counts.
   *
   * @returns the siblings that may start now.
   */
  release(plan: Plan, isCallerActive: boolean): Plan[] {
    const family = plan.callerPlan === null ? undefined : this.#families.get(plan.callerPlan);
    if (family === undefined || plan.callerPlan === null) {
      return [];
    }
    const wasRunning = family.running.delete(plan.id);
    const index = family.waiting.indexOf(plan);
    if (index >= 0) {
      family.waiting.splice(index, 1);
    }
    if (wasRunning || index >= 0) {
      family.counts.pending -= 1;
      family.counts[resultOf(plan.tally) === 'success' ? 'success' : 'failed'] += 1;
    }
    const started: Plan[] = [];
    while (family.waiting.length > 0 && (family.limit === null || family.running.size < family.limit)) {
      const next = family.waiting.shift();
      if (next !== undefined) {
        family.running.add(next.id);
        started.push(next);
      }
    }
    if (!isCallerActive && family.running.size === 0 && family.waiting.length === 0) {
      this.#families.delete(plan.callerPlan);
    }
    return started;
  }

  /** The caller itself came to rest: its account goes with its last sub-plan. */
  callerRests(caller: string): void {
    const family = this.#families.get(caller);
    if (family !== undefined && family.running.size === 0 && family.waiting.length === 0) {
      this.#families.delete(caller);
    }
  }

  /** Takes a plan out of account that was never committed, or that is about to be loaded anew. */
  forget(plan: Plan): void {
    const family = plan.callerPlan === null ? undefined : this.#families.get(plan.callerPlan);
    if (family === undefined) {
      return;
    }
    const index = family.waiting.indexOf(plan);
    if (index >= 0) {
      family.waiting.splice(index, 1);
    }
    if (family.running.delete(plan.id) || index >= 0) {
      family.counts.total -= 1;
      family.counts.pending -= 1;
    }
  }

  /** Lets a waiting sub-plan start whatever the limit: it is to be cancelled, and that must not wait. */
  startAnyway(plan: Plan): boolean {
    const family = plan.callerPlan === null ? undefined : this.#families.get(plan.callerPlan);
    const index = family?.waiting.indexOf(plan) ?? -1;
    if (family === undefined || index < 0) {
      return false;
    }
    family.waiting.splice(index, 1);
    family.running.add(plan.id);
    return true;
  }

  /** Ids of the sub-plans that are not at rest. */
  activeOf(caller: string): string[] {
    const family = this.#families.get(caller);
    return family === undefined ? [] : [...family.running, ...family.waiting.map((plan) => plan.id)];
  }

  countsOf(caller: string): SubPlanCounts | undefined {
    const counts = this.#families.get(caller)?.counts;
    return counts === undefined ? undefined : { ...counts };
  }

  #familyOf(caller: string, limit: number | null): Family {
    const known = this.#families.get(caller);
    if (known !== undefined) {
      return known;
    }
    const family: Family = { limit, running: new Set(), waiting: [], counts: { total: 0, pending: 0, success: 0, failed: 0 } };
    this.#families.set(caller, family);
    return family;
  }
}
