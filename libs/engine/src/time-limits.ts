import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import { actionOf, type Plan, type Step } from './model.js';
import { cancelMessage } from './step-events.js';
import { timeLimitError } from './time-limit-error.js';
import type { Turn } from './turn.js';

/** How long an executor that was told to end a step may take to say how it ended. */
const GRACE_MS = 30_000;

type Phase = 'wait' | 'start' | 'run' | 'silent' | 'grace';

interface Deadline {
  readonly phase: Phase;
  readonly atMs: number;
}

/** The last word of whoever holds a step. */
interface LastWord {
  readonly claim: string;
  atMs: number;
  hasSpoken: boolean;
  /** When it was told to end because of a limit. */
  toldAtMs: number | null;
}

/**
 * Limits of time by phase: who waits for an executor, starts, runs or is silent for too long is ended.
 *
 * Owns: the alarms, and when a holder was last heard. Does not own: what becomes of a step that has failed.
 *
 * Invariants:
 * T1. Waiting counts from the moment when the step may be claimed, running from its first claim, parked times and lost executors
 *     included: both are stored, and a restart gives nobody more time. Start and silence are only known here, and count anew after one.
 * T2. A step that is held is never taken away: its executor is told to end it by force, and whatever it says then is recorded as
 *     TimeLimitExceeded. Only when it says nothing within the grace is the outcome unknown, as that of a lost executor.
 * T3. A retry and a resume by hand begin a new run with all of its time.
 */
export class TimeLimits {
  readonly #engine: EngineParts;
  readonly #alarms = new Map<string, { atMs: number; cancel: () => void }>();
  readonly #lastWords = new Map<string, LastWord>();

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /** After a commit: sets the alarms of the steps that it changed. */
  watch(turn: Turn): void {
    for (const { plan, step } of turn.heard) {
      const last = this.#lastWords.get(keyOf(plan, step));
      if (last !== undefined) {
        last.atMs = turn.nowMs;
        last.hasSpoken = true;
      }
    }
    for (const [step, plan] of turn.timed) {
      this.#arm(plan, step, turn.adopted.has(plan.id));
    }
  }

  /** The plan has left memory. */
  forget(plan: Plan): void {
    for (const step of this.#alarms.size + this.#lastWords.size === 0 ? [] : plan.steps) {
      this.#disarm(keyOf(plan, step));
    }
  }

  #arm(plan: Plan, step: Step, isAdopted: boolean): void {
    const key = keyOf(plan, step);
    const isCurrent = this.#engine.plans.get(plan.id) === plan;
    const deadline = isCurrent ? this.#deadlineOf(plan, step, isAdopted) : null;
    if (deadline === null) {
      this.#disarm(key);
      return;
    }
    const alarm = this.#alarms.get(key);
    // One that rings too early sets itself anew: cheaper than a new one at each word of the executor.
    if (alarm === undefined || alarm.atMs > deadline.atMs) {
      alarm?.cancel();
      this.#ringAt(key, plan.id, step.id, deadline.atMs);
    }
  }

  #ringAt(key: string, plan: string, step: number, atMs: number): void {
    const cancel = this.#engine.options.clock.at(atMs, () => void this.#rang(key, plan, step));
    this.#alarms.set(key, { atMs, cancel });
  }

  #disarm(key: string): void {
    this.#alarms.get(key)?.cancel();
    this.#alarms.delete(key);
    this.#lastWords.delete(key);
  }

  async #rang(key: string, planId: string, stepId: number): Promise<void> {
    this.#alarms.delete(key);
    await this.#engine
      .put((turn) => {
        const plan = this.#engine.plans.get(planId);
        const step = plan?.steps[stepId - 1];
        const deadline = plan === undefined || step === undefined ? null : this.#deadlineOf(plan, step, false);
        if (plan === undefined || step === undefined || deadline === null) {
          return;
        }
        turn.timed.set(step, plan);
        if (deadline.atMs <= turn.nowMs) {
          this.#isOver(plan, step, deadline.phase, turn);
        }
      })
      .catch(() => {
        const { clock } = this.#engine.options;
        this.#ringAt(key, planId, stepId, clock.now() + RETRY_AFTER_MS);
      });
  }

  /** What ends first of the times that run now. */
  #deadlineOf(plan: Plan, step: Step, isAdopted: boolean): Deadline | null {
    const { waitMs, startMs, runMs, silentMs } = actionOf(plan, step.action).declaration.timeLimits;
    const deadlines: Deadline[] = [];
    const add = (phase: Phase, sinceMs: number | null, limitMs: number | undefined): void => {
      if (sinceMs !== null && limitMs !== undefined) {
        deadlines.push({ phase, atMs: sinceMs + limitMs });
      }
    };
    if (plan.state !== 'running' || step.kind !== 'run') {
      return null;
    }
    if (step.isReady) {
      add('wait', step.readyAtMs, waitMs);
    }
    if (step.state.name === 'suspended') {
      add('run', step.runSinceMs, runMs);
    } else if (step.state.name === 'running' && step.state.claim !== null) {
      const last = this.#lastWordOf(plan, step, step.state.claim, isAdopted);
      if (step.overLimit !== null) {
        last.toldAtMs ??= this.#engine.options.clock.now();
        return { phase: 'grace', atMs: last.toldAtMs + GRACE_MS };
      }
      add('run', step.runSinceMs, runMs);
      add('silent', last.atMs, silentMs);
      add('start', last.hasSpoken ? null : last.atMs, startMs);
    }
    return deadlines.reduce<Deadline | null>((first, next) => (first === null || next.atMs < first.atMs ? next : first), null);
  }

  #lastWordOf(plan: Plan, step: Step, claim: { id: string; lastReport: number }, isAdopted: boolean): LastWord {
    const key = keyOf(plan, step);
    const known = this.#lastWords.get(key);
    if (known?.claim === claim.id) {
      return known;
    }
    const hasSpoken = isAdopted && (step.nextSeq > 1 || step.checkpoint !== undefined || claim.lastReport > 0);
    const last = { claim: claim.id, atMs: this.#engine.options.clock.now(), hasSpoken, toldAtMs: null };
    this.#lastWords.set(key, last);
    return last;
  }

  #isOver(plan: Plan, step: Step, phase: Phase, turn: Turn): void {
    const { director } = this.#engine;
    const { name, timeLimits } = actionOf(plan, step.action).declaration;
    if (phase === 'grace') {
      director.stepLost(plan, step, turn);
      return;
    }
    const message = messageOf(phase, timeLimits[`${phase}Ms`] ?? 0);
    if (step.state.name === 'running' && step.state.claim !== null) {
      step.overLimit = message;
      turn.touchStep(plan, step);
      turn.events.push(cancelMessage(plan, step, step.state.claim, name, true, message));
    } else {
      director.endInPlace(plan, step, timeLimitError(message, phase === 'wait' ? 'retryable' : 'final'), turn);
    }
  }
}

function messageOf(phase: Exclude<Phase, 'grace'>, limitMs: number): string {
  const limit = `${limitMs / 1_000} s`;
  switch (phase) {
    case 'wait':
      return `No executor took the step within ${limit}, its limit for waiting.`;
    case 'start':
      return `The step gave no sign of life within ${limit}, its limit for starting.`;
    case 'run':
      return `The step took longer than ${limit}, its limit for running.`;
    case 'silent':
      return `The step was silent for ${limit}, its limit for silence.`;
  }
}

function keyOf(plan: Plan, step: Step): string {
  return `${plan.id}/${step.id}`;
}
