import type { EngineParts } from './engine-parts.js';
import type { Plan } from './model.js';
import type { SubPlanTally } from './ports.js';
import type { StoredPlan } from './rows.js';
import type { Turn } from './turn.js';

/**
 * Counts the sub-plans of plans that are read from the store, because some may have come to rest while nobody kept account.
 *
 * Owns: that what is counted is true in the turn that goes on from it. Does not own: the account.
 */
export class SubPlanRecount {
  readonly #engine: EngineParts;

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /**
   * Reads a plan with the counts of its sub-plans and decides on it. When one of them moves between the reading and the turn, both are
   * read again.
   *
   * @throws what the store, the turn or `decide` throws.
   */
  async read<T>(plan: string, decide: (stored: StoredPlan | null, turn: Turn) => T): Promise<T> {
    for (;;) {
      const watch = this.#engine.subPlans.watch(plan);
      try {
        const stored = await this.#engine.options.store.load(plan);
        const counted = stored === null ? null : await this.counted(stored);
        const answer = await this.#engine.put((turn) => (watch.hasChanged ? null : { value: decide(counted, turn) }));
        if (answer !== null) {
          return answer.value;
        }
      } finally {
        watch.end();
      }
    }
  }

  /** A stored plan with the counts of its sub-plans as they are in the store now. */
  async counted(stored: StoredPlan): Promise<StoredPlan> {
    if (stored.steps.every(({ detail }) => detail.subPlans === undefined)) {
      return stored;
    }
    const tallies = await this.#engine.options.store.subPlanTallies(stored.plan.id);
    const steps = stored.steps.map((step) =>
      step.detail.subPlans === undefined ? step : { ...step, detail: { ...step.detail, subPlans: settled(tallies, step.action) } },
    );
    return { ...stored, steps };
  }

  /** Makes the counts of a plan that was read the account's. */
  restore(plan: Plan, turn: Turn): void {
    for (const step of plan.steps) {
      if (step.settledSubPlans !== null) {
        this.#engine.subPlans.restore(plan.id, step.action, step.settledSubPlans);
        turn.touchStep(plan, step);
      }
    }
  }
}

function settled(tallies: readonly SubPlanTally[], action: number): Record<'success' | 'failed' | 'unplanned' | 'cancelled', number> {
  const counts = { success: 0, failed: 0, unplanned: 0, cancelled: 0 };
  for (const { callerAction, outcome, count } of tallies) {
    if (callerAction === action) {
      counts[outcome === 'unplanned' ? 'failed' : outcome] += count;
      counts.unplanned += outcome === 'unplanned' ? count : 0;
    }
  }
  return counts;
}
