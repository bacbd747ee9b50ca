import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import type { Plan } from './model.js';
import type { Turn } from './turn.js';

/** The timers of suspended steps. They are stored with their steps; what is kept here only makes them ring. */
export class Timers {
  readonly #engine: EngineParts;
  readonly #timers = new Map<string, () => void>();

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /** Sets a step's timer, in place of an earlier one. */
  set(timer: Turn['timers'][number]): void {
    const key = `${timer.plan}/${timer.step}`;
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    if (this.#engine.plans.has(timer.plan)) {
      this.#timers.set(
        key,
        this.#engine.options.clock.at(timer.atMs, () => void this.#rang(key, timer.plan, timer.step, timer.attempt)),
      );
    }
  }

  cancelOf(plan: Plan): void {
    for (const step of plan.steps) {
      const key = `${plan.id}/${step.id}`;
      this.#timers.get(key)?.();
      this.#timers.delete(key);
    }
  }

  async #rang(key: string, planId: string, stepId: number, attempt: number): Promise<void> {
    this.#timers.delete(key);
    await this.#engine
      .put((turn) => {
        const plan = this.#engine.plans.get(planId);
        const step = plan?.steps[stepId - 1];
        if (plan !== undefined && step?.state.name === 'suspended' && step.attempt === attempt) {
          this.#engine.director.wake(plan, step, { kind: 'timer' }, turn);
        }
      })
      .catch(() => {
        // The store is away: the timer's time has come all the same, and it rings again until it could be stored.
        this.#timers.set(
          key,
          this.#engine.options.clock.at(
            this.#engine.options.clock.now() + RETRY_AFTER_MS,
            () => void this.#rang(key, planId, stepId, attempt),
          ),
        );
      });
  }
}
