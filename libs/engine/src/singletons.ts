import { DynflowError, UnavailableError } from '@dynflow/kernel';
import type { ActivePlans } from './active-plans.js';
import type { Plan } from './model.js';

/** Why a plan cannot be made, or go on, now: another one has an action of which there may be only one. */
export class SingletonActiveError extends DynflowError {
  constructor(action: string, holder: string) {
    super('DYN_SINGLETON_ACTIVE', `the action ${action} is already active: the plan ${holder} has it, and only one plan may at a time`, {
      context: { action, plan: holder },
    });
  }
}

/**
 * Who has the actions of which at most one plan may be under way (`singleton` in their declaration), from its planning to its rest.
 *
 * Owns: that knowledge. Does not own: the plans. It only remembers who took an action last; whether that one still has it is looked up
 * with the plan, so nothing has to be given back: not at rest, not after a commit that failed. What is stored of the plans is enough to
 * know it again after a restart.
 *
 * With several gateways on one database this is to become a row per action, holder and all, in the commit that takes it: an insert that
 * finds one already fails that commit, and the plan is made once more as one that failed. {@link take} is the only place that changes.
 *
 * G1. Of two plans that are planning, planned or running, never both have the same singleton action.
 */
export class Singletons {
  readonly #plans: ActivePlans;
  readonly #isAllRead: () => boolean;
  readonly #takers = new Map<string, string>();

  constructor(plans: ActivePlans, isAllRead: () => boolean) {
    this.#plans = plans;
    this.#isAllRead = isAllRead;
  }

  /**
   * Takes all singleton actions of a plan, or none.
   *
   * @throws SingletonActiveError; UnavailableError while plans are read again after a failed commit: one of them might have it.
   */
  take(plan: Plan): void {
    const names = namesOf(plan);
    if (names.length === 0) {
      return;
    }
    if (!this.#isAllRead()) {
      throw new UnavailableError('DYN_PLAN_UNREAD', 'plans are being read again after a failed write; try again');
    }
    for (const name of names) {
      const holder = this.#holderOf(name);
      if (holder !== undefined && holder !== plan.id) {
        throw new SingletonActiveError(name, holder);
      }
    }
    this.restore(plan);
  }

  /** A plan that was read from the store has what it took before. */
  restore(plan: Plan): void {
    for (const name of namesOf(plan)) {
      this.#takers.set(name, plan.id);
    }
  }

  #holderOf(name: string): string | undefined {
    const taker = this.#plans.get(this.#takers.get(name) ?? '');
    const isUnderWay = taker?.state === 'planning' || taker?.state === 'planned' || taker?.state === 'running';
    return isUnderWay ? taker.id : undefined;
  }
}

function namesOf(plan: Plan): string[] {
  const names: string[] = [];
  for (const { declaration } of plan.actions) {
    if (declaration.singleton) {
      names.push(declaration.name);
    }
  }
  return names;
}
