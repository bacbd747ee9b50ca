import type { OutputChunkV1 } from '@dynflow/contracts';
import type { ActionRow, PlanRow, StepRow, StoredPlan } from '@dynflow/engine';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import { StoredJson } from './stored-json.js';

/*
 * How columns become the engine's rows. The casts are the promise of the other direction: only this library writes these tables.
 */

export function planFromColumns(columns: ExecutionPlanColumns, json: StoredJson): PlanRow {
  return {
    id: columns.id,
    shard: columns.shard,
    label: columns.label,
    state: columns.state as PlanRow['state'],
    result: columns.result as PlanRow['result'],
    runFlow: json.read<PlanRow['runFlow']>('run_flow', columns.run_flow, ['S']),
    finalizeFlow: json.read<PlanRow['finalizeFlow']>('finalize_flow', columns.finalize_flow, ['S']),
    phase: columns.phase as PlanRow['phase'],
    stepCount: columns.step_count,
    history: json.read<PlanRow['history']>('history', columns.history, []),
    createdAtMs: columns.created_at,
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    callerPlan: columns.caller_plan,
    callerAction: columns.caller_action,
    isExternal: Boolean(columns.is_external),
    concurrencyLimit: columns.concurrency_limit,
    priority: columns.priority,
    attributes: json.read<PlanRow['attributes']>('attributes', columns.attributes, {}),
    idempotencyKey: columns.idempotency_key,
    schedule: json.readOrNull<NonNullable<PlanRow['schedule']>>('schedule', columns.schedule),
    heldBecause: columns.held_because,
    isHalted: Boolean(columns.is_halted),
    waitingFor: columns.waiting_for,
    isCancelRequested: Boolean(columns.is_cancel_requested),
    sealedSecrets: columns.sealed_secrets,
    request: json.readOrNull<NonNullable<PlanRow['request']>>('request', columns.request),
  };
}

export function actionFromColumns(columns: ActionColumns, json: StoredJson): ActionRow {
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
    input: json.read<ActionRow['input']>(`input of action ${columns.id}`, columns.input, {}),
    references: json.read<ActionRow['references']>(`references of action ${columns.id}`, columns.output_references, []),
    output: json.read<ActionRow['output']>(`output of action ${columns.id}`, columns.output, {}),
    chunksAs: columns.chunks_as,
    progressWeights: weightsFromColumn(columns.progress_weights, json),
  };
}

export function weightsFromColumn(weights: string | null, json: StoredJson): ActionRow['progressWeights'] {
  const equal = { run: 1, finalize: 1 };
  return weights === null ? equal : json.read<ActionRow['progressWeights']>('progress_weights', weights, equal);
}

export function stepFromColumns(columns: StepColumns, json: StoredJson): StepRow {
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
    error: json.readOrNull<NonNullable<StepRow['error']>>(`error of step ${columns.id}`, columns.error),
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    detail: json.read<StepRow['detail']>(`detail of step ${columns.id}`, columns.detail, {}),
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
  const found = new Map<string, StoredPlan & { json: StoredJson }>();
  for (const columns of plans) {
    const json = new StoredJson();
    found.set(columns.id, { plan: planFromColumns(columns, json), actions: [], steps: [], json });
  }
  for (const columns of actions) {
    const stored = found.get(columns.plan_id);
    stored?.actions.push(actionFromColumns(columns, stored.json));
  }
  for (const columns of steps) {
    const stored = found.get(columns.plan_id);
    stored?.steps.push(stepFromColumns(columns, stored.json));
  }
  return [...found.values()].map(({ json: { fault }, ...stored }) => (fault === null ? stored : { ...stored, fault }));
}
