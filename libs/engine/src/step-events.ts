import { pluginOf } from '@dynflow/contracts';
import type { Claim, Plan, Step, StoredEvent } from './model.js';
import type { Turn } from './turn.js';

/** The message that tells the holder of a step to cancel it; it may be sent again and again. `reason`: why, unless somebody asked for it. */
export function cancelMessage(
  plan: Plan,
  step: Step,
  claim: Claim,
  action: string,
  isForced: boolean,
  reason?: string,
): Turn['events'][number] {
  return {
    plugin: pluginOf(action),
    executor: claim.executor,
    plan: plan.id,
    step: step.id,
    message: {
      type: 'step.event',
      version: 1,
      claim: claim.id,
      event: { kind: 'cancel', force: isForced, ...(reason === undefined ? {} : { reason }) },
    },
  };
}

/** The message that gives an event to the holder of a step; it may be sent again and again. */
export function eventMessage(plan: Plan, step: Step, claim: Claim, action: string, event: StoredEvent): Turn['events'][number] {
  const message = { type: 'step.event', version: 1, claim: claim.id, event: { kind: 'external', ...event } } as const;
  return { plugin: pluginOf(action), executor: claim.executor, plan: plan.id, step: step.id, message };
}
