import { DynflowError, UnavailableError, isoTimeOf } from '@dynflow/kernel';
import type { StepErrorV1 } from '@dynflow/contracts';
import { failPlanStep } from './endings.js';
import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import { planResult, type Plan } from './model.js';
import type { PlanVerdict } from './ports.js';
import { decideStart, describeFailed, type Prerequisite, type Standing } from './start-decision.js';
import type { PlanState } from './states.js';
import type { Turn } from './turn.js';

/** Thrown when the schedule of a plan is to be changed that has begun, or is over. */
export class PlanNotScheduledError extends DynflowError {
  constructor(plan: string, state: PlanState) {
    super('DYN_PLAN_NOT_SCHEDULED', `the plan ${plan} is ${state}; only a scheduled plan can be frozen or moved`, {
      context: { plan, state },
    });
  }
}

/**
 * Begins scheduled plans when their moment has come: at a time, when other plans have stopped, when nobody freezes them any more.
 *
 * Owns: the timers of schedules, and who waits for whom. Does not own: the decision (start-decision.ts), planning, other timers.
 *
 * Nothing is polled. A plan is considered when it is made or read, when its timer rings, when its schedule is changed, and in the turn
 * after a prerequisite came to rest. Considering it once too often does no harm.
 *
 * C1. What is kept here follows from stored plans: a restart, or a plan that is read again, finds it all again.
 * C2. How a prerequisite stands is asked of memory first, then of what is known here, then of the store, all at once.
 */
export class Schedules {
  readonly #engine: EngineParts;
  readonly #begin: (plan: Plan, turn: Turn) => void;
  readonly #timers = new Map<string, () => void>();
  /** By prerequisite: the scheduled plans that name it. */
  readonly #dependents = new Map<string, Set<string>>();
  /** How prerequisites that are not in memory stand; only of those that somebody waits for. */
  readonly #standings = new Map<string, Standing>();

  constructor(engine: EngineParts, begin: (plan: Plan, turn: Turn) => void) {
    this.#engine = engine;
    this.#begin = begin;
  }

  /** Begins or ends a scheduled plan if it is time, and notes what it waits for otherwise. */
  consider(plan: Plan, turn: Turn): void {
    if (plan.state !== 'scheduled' || plan.schedule === null) {
      return;
    }
    const { director } = this.#engine;
    const prerequisites = this.#prerequisitesOf(plan);
    const decision = decideStart(plan.schedule, prerequisites, turn.nowMs);
    switch (decision.kind) {
      case 'begin':
        try {
          this.#begin(plan, turn);
        } catch (error) {
          if (!(error instanceof UnavailableError)) {
            throw error;
          }
          this.#tryAgain([plan.id]);
          return;
        }
        break;
      case 'expired': {
        const message = `could not be started before the set time (${isoTimeOf(decision.beforeMs)})`;
        failPlanStep(plan, scheduleError('NotStartedInTime', 'DYN_NOT_STARTED_IN_TIME', message), turn);
        director.end(plan, 'timeout', turn);
        break;
      }
      case 'failed': {
        const message = `prerequisites failed: ${describeFailed(decision.prerequisites)}`;
        failPlanStep(plan, scheduleError('PrerequisiteFailed', 'DYN_PREREQUISITE_FAILED', message), turn);
        director.end(plan, 'failed-dependency', turn);
        break;
      }
      case 'wait':
        if (plan.waitsFor !== decision.waitingFor) {
          plan.waitsFor = decision.waitingFor;
          turn.touchPlan(plan);
        }
        for (const { plan: id } of prerequisites) {
          this.#dependents.set(id, (this.#dependents.get(id) ?? new Set()).add(plan.id));
        }
        turn.waiting.push({ plan, untilMs: decision.untilMs, isKnown: prerequisites.every(({ standing }) => standing !== 'unknown') });
        return;
    }
    this.forget(plan);
  }

  /** What follows a commit: timers, look-ups, and word to those who waited for plans that are at rest now. */
  committed(turn: Turn): void {
    const unknown: Plan[] = [];
    for (const { plan, untilMs, isKnown } of turn.waiting) {
      if (this.#engine.plans.get(plan.id) === plan && plan.state === 'scheduled') {
        this.#setTimer(plan, untilMs);
        if (!isKnown) {
          unknown.push(plan);
        }
      }
    }
    if (unknown.length > 0) {
      void this.#lookUp(unknown);
    }
    for (const plan of turn.rested) {
      this.forget(plan);
      this.ended(plan.id, { state: plan.state, result: planResult(plan) });
    }
  }

  /** A plan is at rest, and that is committed: those that waited for it are considered in the next turn. */
  ended(id: string, verdict: PlanVerdict): void {
    const dependents = this.#dependents.get(id);
    if (dependents !== undefined) {
      this.#standings.set(id, standingOf(verdict));
      this.#reconsider([...dependents]);
    }
  }

  /** A paused plan goes on: those that wait for it say so. */
  resumed(id: string, turn: Turn): void {
    for (const dependent of this.#dependents.get(id) ?? []) {
      const plan = this.#engine.plans.get(dependent);
      if (plan !== undefined) {
        this.consider(plan, turn);
      }
    }
  }

  /** A plan is scheduled no more, or has left memory. */
  forget(plan: Plan): void {
    this.#timers.get(plan.id)?.();
    this.#timers.delete(plan.id);
    for (const id of plan.schedule?.after ?? []) {
      const dependents = this.#dependents.get(id);
      dependents?.delete(plan.id);
      if (dependents?.size === 0) {
        this.#dependents.delete(id);
        this.#standings.delete(id);
      }
    }
  }

  #prerequisitesOf(plan: Plan): Prerequisite[] {
    return (plan.schedule?.after ?? []).map((id) => {
      // One that came to rest in this turn is not stored as such yet; its dependents are told when it is.
      const standing = this.#engine.plans.has(id) ? 'open' : (this.#standings.get(id) ?? 'unknown');
      return { plan: id, standing };
    });
  }

  #setTimer(plan: Plan, untilMs: number | null): void {
    this.#timers.get(plan.id)?.();
    this.#timers.delete(plan.id);
    if (untilMs !== null) {
      this.#timers.set(
        plan.id,
        this.#engine.options.clock.at(untilMs, () => {
          this.#timers.delete(plan.id);
          this.#reconsider([plan.id]);
        }),
      );
    }
  }

  #reconsider(ids: readonly string[]): void {
    this.#engine
      .put((turn) => {
        for (const id of ids) {
          const plan = this.#engine.plans.get(id);
          if (plan !== undefined) {
            this.consider(plan, turn);
          }
        }
      })
      .catch(() => this.#tryAgain(ids));
  }

  #tryAgain(ids: readonly string[]): void {
    const { clock } = this.#engine.options;
    clock.at(clock.now() + RETRY_AFTER_MS, () => this.#reconsider(ids));
  }

  /** Asks the store, once for all of them, how those prerequisites stand that are not in memory. */
  async #lookUp(plans: readonly Plan[]): Promise<void> {
    const { store, clock } = this.#engine.options;
    const ids = new Set(
      plans.flatMap((plan) => this.#prerequisitesOf(plan).flatMap((one) => (one.standing === 'unknown' ? [one.plan] : []))),
    );
    let found: Map<string, PlanVerdict>;
    try {
      found = await store.verdicts([...ids]);
    } catch {
      clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#lookUp(plans));
      return;
    }
    for (const id of ids) {
      // Somebody may have been told meanwhile how it ended, which is newer.
      if (this.#dependents.has(id) && !this.#standings.has(id)) {
        const verdict = found.get(id);
        this.#standings.set(id, verdict === undefined ? 'gone' : standingOf(verdict));
      }
    }
    this.#reconsider(plans.map(({ id }) => id));
  }
}

function standingOf({ state, result }: PlanVerdict): Standing {
  if (state === 'stopped') {
    return result;
  }
  return state === 'paused' ? 'paused' : 'open';
}

function scheduleError(errorClass: string, code: string, message: string): StepErrorV1 {
  return { errorClass, message, code, kind: 'final' };
}
