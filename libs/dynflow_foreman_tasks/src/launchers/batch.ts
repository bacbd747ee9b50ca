import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { LocalOutcome, SubPlanRequest } from '@dynflow/contracts';
import { defineLocalAction, type LocalRunContext } from '@dynflow/plugin';
import { z } from 'zod';
import { jobInput, unpackSecrets } from './hosts.js';

/** Sub-plans made in one transaction: enough to be quick, few enough that nothing else has to wait long. */
const CHILDREN_A_TURN = 100;

const JsonRecord = z.record(z.string(), z.json());

const BatchInput = z.object({
  /** Foreman's plan ids, each with its job; the id becomes the id of the job's plan. */
  input_hash: z.record(z.string(), z.object({ action_input: JsonRecord, action_class: z.string().optional() })),
  launcher: z.object({ class: z.string(), callback: z.string(), options: JsonRecord }),
  current_request_id: z.string().nullable(),
  /** The action of the operation that was launched. */
  action: z.string(),
});
type BatchInput = z.infer<typeof BatchInput>;

/**
 * Makes one plan for each host of a launch and is done: the jobs run by themselves. Each slice of plans is committed together with how
 * far the launch has come, and plans that exist are left alone, so that a restart in the middle neither loses nor doubles a job.
 */
export const Batch = defineLocalAction({
  name: 'Batch',
  input: BatchInput,
  run: (context) => {
    const ids = Object.keys(context.input.input_hash);
    const before = checkpointOf(context.checkpoint);
    const made = context.event?.kind === 'spawned' ? before.made + context.event.plans.length : before.made;
    if (made >= ids.length) {
      return { kind: 'done', output: counts(ids.length) };
    }
    const slice = ids.slice(made, made + CHILDREN_A_TURN);
    context.spawn(childrenOf(slice, context));
    return suspended(made, ids.length);
  },
});

function childrenOf(ids: string[], context: LocalRunContext<BatchInput>): SubPlanRequest[] {
  const { input } = context;
  const secrets = unpackSecrets(context.sealedSecrets);
  const facts = { callbackHost: input.launcher.callback, requestId: input.current_request_id };
  return ids.map((id) => {
    const sealed = secrets[id];
    return {
      id,
      action: input.action,
      input: jobInput((input.input_hash[id]?.action_input ?? {}) as JsonObject, facts),
      isExternal: true,
      ...(sealed === undefined ? {} : { sealedSecrets: sealed }),
    };
  });
}

function suspended(made: number, total: number): LocalOutcome {
  return { kind: 'suspended', checkpoint: { made }, waitingFor: `its sub-plans to be made (${made} of ${total})` };
}

function checkpointOf(checkpoint: JsonValue | undefined): { made: number } {
  return isJsonObject(checkpoint) && typeof checkpoint['made'] === 'number' ? { made: checkpoint['made'] } : { made: 0 };
}

/** The counters of Dynflow's parent actions at the moment when all sub-plans are made: what became of them is read from them. */
function counts(total: number): JsonObject {
  return { total_count: total, failed_count: 0, pending_count: total, success_count: 0 };
}
