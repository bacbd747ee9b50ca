import { isoTimeOf } from '@dynflow/kernel';
import type { StepErrorV1 } from '@dynflow/contracts';
import { actionOf, type Plan, type Step } from './model.js';
import type { Turn } from './turn.js';

/*
 * Retry policies: which failures of a run step are followed by another run without anybody being asked, and when.
 *
 * Owns: the decision, the pause, and the record of past attempts. Does not own: the step's moves and timers.
 *
 * R1. `final` is never retried; `unknown` only for an action that says it is idempotent; nothing is retried that is to be cancelled.
 * R2. A step runs at most `maxAttempts` times, until somebody resumes its plan by hand: then the count begins anew.
 * R3. The pause never exceeds the policy's, jitter included: what is random is taken away from it.
 */

/** How many past attempts of a step are kept. */
const KEPT_ATTEMPTS = 10;
/** So much of an error's message is shown while the next attempt is waited for. */
const SHOWN_MESSAGE = 200;

/** A number from 0 up to but not including 1. */
export type RandomSource = () => number;

/** When a step that failed is run again. */
export interface NextRun {
  readonly atMs: number;
  readonly waitingFor: string;
}

/** When the step runs again after this error; null if it has failed for good. */
export function nextRunOf(plan: Plan, step: Step, error: StepErrorV1, nowMs: number, random: RandomSource): NextRun | null {
  const { retry, idempotent, cancellable } = actionOf(plan, step.action).declaration;
  const isCancelled = step.isCancelRequested || (plan.isCancelRequested && cancellable);
  if (retry === undefined || step.kind !== 'run' || isCancelled || error.kind === 'final' || !retry.on.includes(error.kind)) {
    return null;
  }
  if (step.retries >= retry.maxAttempts - 1 || (error.kind === 'unknown' && !idempotent)) {
    return null;
  }
  const grown = retry.backoffMs === 0 ? 0 : retry.backoffMs * retry.factor ** step.retries;
  const pauseMs = Math.min(retry.maxBackoffMs, grown);
  const atMs = Math.ceil(nowMs + pauseMs * (1 - retry.jitter * random()));
  const which = `retry ${step.retries + 1} of ${retry.maxAttempts - 1}`;
  return { atMs, waitingFor: `${which} at ${isoTimeOf(atMs)} after: ${error.message.slice(0, SHOWN_MESSAGE)}` };
}

/** True if the loss of this step's executor is for its policy to judge, like any other unknown outcome. */
export function isLossRetried(plan: Plan, step: Step): boolean {
  const { retry, idempotent } = actionOf(plan, step.action).declaration;
  return step.kind === 'run' && idempotent && (retry?.on.includes('unknown') ?? false);
}

/** Writes a failed run into the step's record, because another one follows it. */
export function recordAttempt(plan: Plan, step: Step, error: StepErrorV1, turn: Turn): void {
  step.pastAttempts.push({ attempt: step.attempt, endedAtMs: turn.nowMs, error });
  step.pastAttempts.splice(0, step.pastAttempts.length - KEPT_ATTEMPTS);
  turn.touchStep(plan, step);
}
