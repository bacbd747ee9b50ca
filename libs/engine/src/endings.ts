import type { StepErrorV1 } from '@dynflow/contracts';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import type { Turn } from './turn.js';

/*
 * What becomes of the steps of a plan that ends by another's word and not by its own flow.
 *
 * Owns: those steps. Does not own: the plan's own move to its rest, which is the director's.
 */

/** A plan that has not been planned is cancelled: so is its one plan step. */
export function cancelPlanStep(plan: Plan, turn: Turn): void {
  for (const step of plan.steps) {
    if (step.kind === 'plan' && (step.state.name === 'pending' || step.state.name === 'running')) {
      moveStep(plan, step, { name: 'cancelled' }, turn);
    }
  }
}

/** A plan that was scheduled will never be planned. */
export function failPlanStep(plan: Plan, error: StepErrorV1, turn: Turn): void {
  moveStep(plan, stepOf(plan, 1), { name: 'error', error, isRetrying: false }, turn);
}

/** True if cancel has a run step of this plan to end. */
export function hasCancellableRun(plan: Plan): boolean {
  return plan.steps.some(({ kind, action }) => kind === 'run' && actionOf(plan, action).declaration.cancellable);
}

/** Run steps that never begin, since their plan was cancelled before any of it did. @returns how many. */
export function failUnbegun(plan: Plan, message: string, turn: Turn): number {
  let failed = 0;
  for (const step of plan.steps) {
    if (step.kind === 'run' && step.state.name === 'pending') {
      const error: StepErrorV1 = { errorClass: 'Cancelled', message, code: 'DYN_CANCELLED', kind: 'final' };
      moveStep(plan, step, { name: 'error', error, isRetrying: false }, turn);
      failed += 1;
    }
  }
  return failed;
}

/** Leaves the steps of a halted plan as they are; what was on its way to them is given up. @returns those that executors hold. */
export function giveUpSteps(plan: Plan, turn: Turn): Step[] {
  const held: Step[] = [];
  for (const step of plan.steps) {
    const { state } = step;
    if (state.name === 'running' && state.claim !== null) {
      held.push(step);
    }
    const isAwaited = step.isReady || step.events.length > 0 || (state.name === 'suspended' && (state.isDue || state.wakeAtMs !== null));
    if (isAwaited) {
      step.isReady = false;
      step.events = [];
      if (state.name === 'suspended') {
        state.isDue = false;
        state.wakeAtMs = null;
      }
      turn.touchStep(plan, step);
    }
  }
  return held;
}
