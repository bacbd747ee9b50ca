import { actionOf, type Plan, type Step } from './model.js';
import type { StepStateName } from './states.js';

/** What a step counts for while its code has said nothing: Dynflow's figure. */
export const UNSAID_PROGRESS = 0.5;

/** How much of a step is done, 0 to 1: nothing before it begins, all of it when it is over well, else what it said last. */
export function progressOfStep(state: StepStateName, said: number): number {
  switch (state) {
    case 'success':
    case 'skipped':
      return 1;
    case 'scheduling':
    case 'pending':
      return 0;
    case 'running':
    case 'suspended':
    case 'skipping':
    case 'error':
    case 'cancelled':
      return said;
  }
}

/** Takes what a step says of itself; nonsense counts as nothing done. */
export function sayProgress(step: Step, fraction: number): void {
  step.progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
}

/**
 * How much of a plan is done, 0 to 1: the mean over its run and finalize steps, each by the weight of its action's phase. A plan without
 * such steps is done as soon as it is planned; where nothing has a weight, all steps count the same.
 */
export function progressOf(plan: Plan): number {
  if (plan.state === 'pending' || plan.state === 'scheduled' || plan.state === 'planning') {
    return 0;
  }
  let [done, total, plainDone, plainTotal] = [0, 0, 0, 0];
  for (const step of plan.steps) {
    if (step.kind !== 'plan') {
      const weight = actionOf(plan, step.action).declaration.progressWeights[step.kind];
      const progress = progressOfStep(step.state.name, step.progress);
      done += weight * progress;
      total += weight;
      plainDone += progress;
      plainTotal += 1;
    }
  }
  if (plainTotal === 0) {
    return 1;
  }
  return total > 0 ? done / total : plainDone / plainTotal;
}
