import type { Plan, Step, StepState } from './model.js';
import { UNSAID_PROGRESS } from './progress.js';
import { assertPlanTransition, assertStepTransition, resultOf, type PlanState } from './states.js';
import type { Turn } from './turn.js';

/*
 * The only places where a state changes. Each move is checked against the tables and marks its row.
 */

/** @throws IllegalTransitionError */
export function movePlan(plan: Plan, to: PlanState, turn: Turn): void {
  assertPlanTransition(plan.state, to);
  plan.state = to;
  turn.entered.push({ plan, state: to });
  turn.touchPlan(plan);
}

/** @throws IllegalTransitionError */
export function moveStep(plan: Plan, step: Step, to: StepState, turn: Turn): void {
  assertStepTransition(step.kind, step.state.name, to.name);
  const before = resultOf(plan.tally);
  plan.tally[step.state.name] -= 1;
  plan.tally[to.name] += 1;
  if (resultOf(plan.tally) !== before) {
    turn.touchPlan(plan);
  }
  step.state = to;
  step.isReady = false;
  step.readyAtMs = null;
  step.waitsFor = null;
  if (to.name !== 'running') {
    step.overLimit = null;
  }
  if (to.name === 'running') {
    step.progress = step.startedAtMs === null ? UNSAID_PROGRESS : step.progress;
    step.startedAtMs ??= turn.nowMs;
    step.runSinceMs ??= turn.nowMs;
    step.invokedAtMs = turn.nowMs;
  } else if (step.invokedAtMs !== null) {
    // A clock that was put back must not make time negative.
    step.executionTimeMs += Math.max(0, turn.nowMs - step.invokedAtMs);
    step.invokedAtMs = null;
  }
  step.endedAtMs = to.name === 'success' || to.name === 'error' || to.name === 'skipped' || to.name === 'cancelled' ? turn.nowMs : null;
  turn.touchStep(plan, step);
}

/** Adds a line to the plan's history. */
export function remember(plan: Plan, name: string, world: string, turn: Turn): void {
  plan.history.push({ timeMs: turn.nowMs, name, world });
  turn.touchPlan(plan);
}
