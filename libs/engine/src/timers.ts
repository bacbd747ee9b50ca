import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import type { Plan } from './model.js';
import { plannedEventIsDue } from './planned-events.js';
import type { Turn } from './turn.js';

type Timer = Turn['timers'][number];

/** The timers of steps. They are stored with their steps; what is kept here only makes them ring. */
export class Timers {
  readonly #engine: EngineParts;
  /** By plan, then by step and planned event. */
  readonly #timers = new Map<string, Map<string, () => void>>();

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /** Sets the timer of a suspended step, or of an event that it planned, in place of an earlier one. */
  set(timer: Timer): void {
    if (this.#engine.plans.has(timer.plan)) {
      this.#ringAt(timer.atMs, timer);
    }
  }

  cancelOf(plan: Plan): void {
    for (const cancel of this.#timers.get(plan.id)?.values() ?? []) {
      cancel();
    }
    this.#timers.delete(plan.id);
  }

  #ringAt(atMs: number, timer: Timer): void {
    const timers = this.#timers.get(timer.plan) ?? new Map<string, () => void>();
    this.#timers.set(timer.plan, timers);
    const key = keyOf(timer);
    timers.get(key)?.();
    timers.set(
      key,
      this.#engine.options.clock.at(atMs, () => void this.#rang(timer)),
    );
  }

  async #rang(timer: Timer): Promise<void> {
    const timers = this.#timers.get(timer.plan);
    timers?.delete(keyOf(timer));
    if (timers?.size === 0) {
      this.#timers.delete(timer.plan);
    }
    await this.#engine
      .put((turn) => {
        const plan = this.#engine.plans.get(timer.plan);
        const step = plan?.steps[timer.step - 1];
        if (plan === undefined || step === undefined) {
          return;
        }
        if (timer.event !== undefined) {
          plannedEventIsDue(this.#engine, plan, step, timer.event, turn);
        } else if (step.state.name === 'suspended' && step.attempt === timer.attempt) {
          this.#engine.director.wake(plan, step, { kind: 'timer' }, turn);
        }
      })
      .catch(() => {
        // The store is away: the timer's time has come all the same, and it rings again until it could be stored.
        this.#ringAt(this.#engine.options.clock.now() + RETRY_AFTER_MS, timer);
      });
  }
}

function keyOf({ step, event }: Timer): string {
  return event === undefined ? String(step) : `${step} ${event}`;
}
