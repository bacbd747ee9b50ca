import type { EngineParts } from './engine-parts.js';
import { inReleaseOrder } from './gate.js';
import type { Plan } from './model.js';
import type { PlanLoader } from './plan-loader.js';
import type { StoredPlan } from './rows.js';
import type { Turn } from './turn.js';

/** What an operator holds at the moment. */
export interface HoldState {
  /** Why no new plan starts; null: they do. */
  readonly newWork: string | null;
  /** How many plans that are not at rest are held. */
  readonly plans: number;
}

/**
 * What an operator asks of the gate: hold plans or all new work, release them.
 *
 * H1. A hold of new work is stored before it holds, and taken out of the store before anything starts: a restart in between keeps it.
 * H2. A hold of a plan is a part of the plan's row, with its sub-plans and with those that it makes meanwhile.
 */
export class Holds {
  readonly #engine: EngineParts;
  readonly #loader: PlanLoader;

  constructor(engine: EngineParts, loader: PlanLoader) {
    this.#engine = engine;
    this.#loader = loader;
  }

  /** Reads what was held when the last process ended. Before any plan is loaded. */
  async load(): Promise<void> {
    this.#engine.gate.newWorkHeldBecause = (await this.#engine.options.holds?.load()) ?? null;
  }

  get state(): HoldState {
    let plans = 0;
    for (const plan of this.#engine.plans.values()) {
      plans += plan.heldBecause === null ? 0 : 1;
    }
    return { newWork: this.#engine.gate.newWorkHeldBecause, plans };
  }

  async holdNewWork(reason: string): Promise<void> {
    await this.#engine.options.holds?.save(reason);
    this.#engine.gate.newWorkHeldBecause = reason;
  }

  async holdPlans(ids: readonly string[], reason: string): Promise<number> {
    return this.#engine.put((turn) => {
      const family = this.#withSubPlans(ids);
      this.#loader.assertRead(family);
      return this.#hold(family, reason, turn);
    });
  }

  /** The stored plan as if it had been held when it was written, so that nothing of it goes on when it is taken over. */
  heldAs(stored: StoredPlan, reason: string | undefined): StoredPlan {
    return reason === undefined ? stored : { ...stored, plan: { ...stored.plan, heldBecause: stored.plan.heldBecause ?? reason } };
  }

  /** The plan of {@link heldAs} has been taken over: its hold is written down. */
  noteAdopted(id: string, reason: string | undefined, turn: Turn): void {
    const plan = this.#engine.plans.get(id);
    if (plan !== undefined && reason !== undefined) {
      turn.touchPlan(plan);
    }
  }

  async release(ids?: readonly string[]): Promise<number> {
    if (ids === undefined && this.#engine.gate.newWorkHeldBecause !== null) {
      await this.#engine.options.holds?.save(null);
      this.#engine.gate.newWorkHeldBecause = null;
    }
    await this.#loader.whenAllRead();
    return this.#engine.put((turn) => {
      const family = ids === undefined ? [...this.#engine.plans.keys()] : this.#withSubPlans(ids);
      this.#loader.assertRead(family);
      const held = family.flatMap((id) => this.#heldPlan(id));
      for (const plan of inReleaseOrder(held)) {
        this.#engine.director.letGo(plan, turn);
      }
      return held.length;
    });
  }

  #heldPlan(id: string): Plan[] {
    const plan = this.#engine.plans.get(id);
    return plan === undefined || plan.heldBecause === null ? [] : [plan];
  }

  #hold(ids: readonly string[], reason: string, turn: Turn): number {
    let held = 0;
    for (const id of ids) {
      const plan = this.#engine.plans.get(id);
      if (plan !== undefined && !plan.isCancelRequested) {
        this.#engine.gate.hold(plan, reason, turn);
        held += 1;
      }
    }
    return held;
  }

  /** These plans with their sub-plans and theirs, as far as they are not at rest. */
  #withSubPlans(ids: readonly string[]): string[] {
    const family = new Set(ids);
    for (const id of family) {
      this.#engine.subPlans.activeOf(id).forEach((child) => family.add(child));
    }
    return [...family];
  }
}
