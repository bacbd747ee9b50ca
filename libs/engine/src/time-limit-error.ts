import type { StepErrorV1 } from '@dynflow/contracts';
import { actionOf, type Plan, type Step } from './model.js';

/** What a step that was over a limit ends with. */
export function timeLimitError(message: string, kind: StepErrorV1['kind']): StepErrorV1 {
  return { errorClass: 'TimeLimitExceeded', message, code: 'DYN_TIME_LIMIT', kind };
}

/** True if the whole time of the step's run is used up, so that handing it on would be of no use. */
export function isRunTimeOver(plan: Plan, step: Step, nowMs: number): boolean {
  const { runMs } = actionOf(plan, step.action).declaration.timeLimits;
  return runMs !== undefined && step.runSinceMs !== null && step.runSinceMs + runMs <= nowMs;
}
