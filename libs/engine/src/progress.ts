import type { ActionDeclaration } from '@dynflow/contracts';
import type { Step } from './model.js';
import type { PlanState, StepKind, StepStateName } from './states.js';

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

/** How much the phases of an action count in its plan's progress. */
export type ProgressWeights = Readonly<ActionDeclaration['progressWeights']>;

/** A step as the progress of its plan sees it. */
export interface StepShare {
  readonly kind: StepKind;
  readonly action: number;
  /** 0 to 1, as {@link progressOfStep} says. */
  readonly progress: number;
}

/**
 * How much of a plan is done, 0 to 1: the mean over its run and finalize steps, each by the weight of its action's phase. A plan without
 * such steps is done as soon as it is planned; where nothing has a weight, all steps count the same.
 */
export function planProgress(state: PlanState, steps: readonly StepShare[], weightsOf: (action: number) => ProgressWeights): number {
  if (state === 'pending' || state === 'scheduled' || state === 'planning') {
    return 0;
  }
  let [done, total, plainDone, plainTotal] = [0, 0, 0, 0];
  for (const step of steps) {
    if (step.kind !== 'plan') {
      const weight = weightsOf(step.action)[step.kind];
      done += weight * step.progress;
      total += weight;
      plainDone += step.progress;
      plainTotal += 1;
    }
  }
  if (plainTotal === 0) {
    return 1;
  }
  return total > 0 ? done / total : plainDone / plainTotal;
}
