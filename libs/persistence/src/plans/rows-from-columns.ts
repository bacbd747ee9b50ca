import type { OutputChunkV1 } from '@dynflow/contracts';
import type { ActionRow, PlanRow, StepRow, StoredPlan } from '@dynflow/engine';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';

/*
 * How columns become the engine's rows. The casts are the promise of the other direction: only this library writes these tables.
 */

export function planFromColumns(columns: ExecutionPlanColumns): PlanRow {
  return {
    id: columns.id,
    shard: columns.shard,
    label: columns.label,
    state: columns.state as PlanRow['state'],
    result: columns.result as PlanRow['result'],
    runFlow: JSON.parse(columns.run_flow) as PlanRow['runFlow'],
    finalizeFlow: JSON.parse(columns.finalize_flow) as PlanRow['finalizeFlow'],
    phase: columns.phase as PlanRow['phase'],
    stepCount: columns.step_count,
    history: JSON.parse(columns.history) as PlanRow['history'],
    createdAtMs: columns.created_at,
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    callerPlan: columns.caller_plan,
    callerAction: columns.caller_action,
    isExternal: Boolean(columns.is_external),
    concurrencyLimit: columns.concurrency_limit,
    priority: columns.priority,
    attributes: JSON.parse(columns.attributes) as PlanRow['attributes'],
    idempotencyKey: columns.idempotency_key,
    schedule: columns.schedule === null ? null : (JSON.parse(columns.schedule) as PlanRow['schedule']),
    heldBecause: columns.held_because,
    isHalted: Boolean(columns.is_halted),
    waitingFor: columns.waiting_for,
    isCancelRequested: Boolean(columns.is_cancel_requested),
    sealedSecrets: columns.sealed_secrets,
    request: columns.request === null ? null : (JSON.parse(columns.request) as PlanRow['request']),
  };
}

export function actionFromColumns(columns: ActionColumns): ActionRow {
  return {
    plan: columns.plan_id,
    id: columns.id,
    name: columns.name,
    version: columns.version,
    planStep: columns.plan_step,
    runStep: columns.run_step,
    finalizeStep: columns.finalize_step,
    callerPlan: columns.caller_plan,
    callerAction: columns.caller_action,
    input: JSON.parse(columns.input) as ActionRow['input'],
    references: JSON.parse(columns.output_references) as ActionRow['references'],
    output: JSON.parse(columns.output) as ActionRow['output'],
    chunksAs: columns.chunks_as,
    progressWeights: weightsFromColumn(columns.progress_weights),
  };
}

export function weightsFromColumn(weights: string | null): ActionRow['progressWeights'] {
  return weights === null ? { run: 1, finalize: 1 } : (JSON.parse(weights) as ActionRow['progressWeights']);
}

export function stepFromColumns(columns: StepColumns): StepRow {
  return {
    plan: columns.plan_id,
    id: columns.id,
    kind: columns.kind as StepRow['kind'],
    action: columns.action_id,
    queue: columns.queue,
    state: columns.state as StepRow['state'],
    attempt: columns.attempt,
    executor: columns.executor,
    waitingFor: columns.waiting_for,
    wakeAtMs: columns.wake_at,
    progress: columns.progress,
    retries: columns.retries,
    error: columns.error === null ? null : (JSON.parse(columns.error) as StepRow['error']),
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    detail: JSON.parse(columns.detail) as StepRow['detail'],
  };
}

export function chunkFromColumns(columns: OutputChunkColumns): OutputChunkV1 {
  return {
    seq: columns.seq,
    kind: columns.kind,
    timestampMs: columns.timestamp,
    text: JSON.parse(columns.chunk) as string,
    ...(columns.external_id === null ? {} : { id: JSON.parse(columns.external_id) as string | number }),
  };
}

/** Puts plans together. Actions and steps must come in the order of their ids within a plan; those of unknown plans are left out. */
export function storedPlans(
  plans: readonly ExecutionPlanColumns[],
  actions: readonly ActionColumns[],
  steps: readonly StepColumns[],
): StoredPlan[] {
  const found = new Map<string, StoredPlan>(
    plans.map((columns) => [columns.id, { plan: planFromColumns(columns), actions: [], steps: [] }]),
  );
  for (const columns of actions) {
    found.get(columns.plan_id)?.actions.push(actionFromColumns(columns));
  }
  for (const columns of steps) {
    found.get(columns.plan_id)?.steps.push(stepFromColumns(columns));
  }
  return [...found.values()];
}
