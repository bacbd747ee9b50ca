import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { OutcomeV1, SubPlanV1 } from '@dynflow/contracts';

/** How a step waits. */
export interface SuspendOptions {
  /** What the next invocation gets; at most a few kilobytes. */
  checkpoint: JsonValue;
  /** Shown to people. */
  waitingFor: string;
  /** It is invoked again after this time, unless something else wakes it before. */
  wakeAfterMs?: number;
  /** What comes after `wakeAfterMs` is this event. Unlike mere waking it comes also when something else has woken the step before. */
  event?: JsonValue;
  output?: JsonObject;
  /** How much of the step is done, 0 to 1. */
  progress?: number;
  /**
   * Plans to be made as sub-plans of this step. When all of the step's are at rest it gets the event `{ kind: 'subPlans', counts }`, and
   * `subPlans` of its context says how they ended. A cancel reaches them. A thousand at a time fit into a message: ask for more in a
   * later invocation.
   */
  subPlans?: SubPlanV1[];
  /** How many of them may run at once. */
  concurrencyLimit?: number;
}

/** The outcome that says so to the gateway. */
export function suspensionOutcome(options: SuspendOptions): Extract<OutcomeV1, { kind: 'suspended' }> {
  const { event, subPlans, concurrencyLimit, wakeAfterMs, ...rest } = options;
  const timer = wakeAfterMs === undefined ? {} : { wakeAfterMs };
  return {
    kind: 'suspended',
    ...rest,
    ...(event === undefined ? timer : { planEvents: [{ data: event, afterMs: wakeAfterMs ?? 0 }] }),
    ...(subPlans === undefined || subPlans.length === 0
      ? {}
      : { subPlans: { children: subPlans, ...(concurrencyLimit === undefined ? {} : { concurrencyLimit }) } }),
  };
}
