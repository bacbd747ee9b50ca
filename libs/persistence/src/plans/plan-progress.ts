import type { PlanState, StepView } from '@dynflow/contracts';

/** How much the phases of an action count. */
export interface ProgressWeights {
  readonly run: number;
  readonly finalize: number;
}

const NOT_BEGUN: ReadonlySet<PlanState> = new Set(['pending', 'scheduled', 'planning']);

/**
 * How much of a plan is done, 0 to 1: the mean over its run and finalize steps, each by the weight of its action's phase. A plan without
 * such steps is done as soon as it runs, one that is not planned yet has done nothing.
 */
export function planProgress(state: PlanState, steps: readonly StepView[], weightsOf: (action: number) => ProgressWeights): number {
  if (NOT_BEGUN.has(state)) {
    return 0;
  }
  let [done, total, plainDone, plainTotal] = [0, 0, 0, 0];
  for (const { kind, action, progress } of steps) {
    if (kind !== 'plan') {
      const weight = weightsOf(action)[kind];
      done += weight * progress;
      total += weight;
      plainDone += progress;
      plainTotal += 1;
    }
  }
  if (plainTotal === 0) {
    return 1;
  }
  // Where nothing has a weight, all count the same.
  return total > 0 ? done / total : plainDone / plainTotal;
}
