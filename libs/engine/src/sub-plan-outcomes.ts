import { planResult, type Plan } from './model.js';

/** How a sub-plan that is at rest counts: each in one of three ways, so that nobody waits for it. */
export function outcomeOf(plan: Plan): 'success' | 'failed' | 'cancelled' {
  const result = planResult(plan);
  if (result === 'success') {
    return 'success';
  }
  return plan.isCancelRequested || result === 'cancelled' ? 'cancelled' : 'failed';
}

/** It failed before it had anything to run. */
export function isUnplanned(plan: Plan): boolean {
  const [root] = plan.steps;
  return root?.state.name === 'error' && root.kind === 'plan' && outcomeOf(plan) === 'failed';
}
