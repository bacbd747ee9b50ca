import type { ActionRow, ChunkRow, PlanRow, StepRow } from '@dynflow/engine';

/*
 * How rows of the engine become columns: for each table the names of the columns in the order of the values. Insert writes all
 * columns of a row; update writes those that can change after it was made, with the key last.
 */

export type ColumnValue = string | number | null;

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

export const PLAN_COLUMNS = [
  'id',
  'shard',
  'label',
  'state',
  'result',
  'run_flow',
  'finalize_flow',
  'phase',
  'step_count',
  'history',
  'created_at',
  'started_at',
  'ended_at',
  'execution_time',
  'caller_plan',
  'caller_action',
  'is_external',
  'concurrency_limit',
  'is_cancel_requested',
  'sealed_secrets',
  'request',
  'priority',
  'attributes',
  'idempotency_key',
  'schedule',
  'held_because',
  'is_halted',
  'waiting_for',
] as const;

export function planValues(row: PlanRow): ColumnValue[] {
  return [
    row.id,
    row.shard,
    row.label,
    row.state,
    row.result,
    JSON.stringify(row.runFlow),
    JSON.stringify(row.finalizeFlow),
    row.phase,
    row.stepCount,
    JSON.stringify(row.history),
    row.createdAtMs,
    row.startedAtMs,
    row.endedAtMs,
    row.executionTimeMs,
    row.callerPlan,
    row.callerAction,
    Number(row.isExternal),
    row.concurrencyLimit,
    Number(row.isCancelRequested),
    row.sealedSecrets,
    json(row.request),
    row.priority,
    JSON.stringify(row.attributes),
    row.idempotencyKey,
    json(row.schedule),
    row.heldBecause,
    Number(row.isHalted),
    row.waitingFor,
  ];
}

export const PLAN_CHANGES = [
  'state',
  'result',
  'phase',
  'history',
  'started_at',
  'ended_at',
  'execution_time',
  'is_cancel_requested',
  'sealed_secrets',
  'schedule',
  'held_because',
  'is_halted',
  'waiting_for',
] as const;

export function planChangeValues(row: PlanRow): ColumnValue[] {
  return [
    row.state,
    row.result,
    row.phase,
    JSON.stringify(row.history),
    row.startedAtMs,
    row.endedAtMs,
    row.executionTimeMs,
    Number(row.isCancelRequested),
    row.sealedSecrets,
    json(row.schedule),
    row.heldBecause,
    Number(row.isHalted),
    row.waitingFor,
    row.id,
  ];
}

/** What changes once, when a plan that had to be asked for is there: its flows come with new actions and steps. */
export const PLANNED_CHANGES = [...PLAN_CHANGES, 'run_flow', 'finalize_flow', 'step_count', 'request'] as const;

export function plannedChangeValues(row: PlanRow): ColumnValue[] {
  return [
    ...planChangeValues(row).slice(0, -1),
    JSON.stringify(row.runFlow),
    JSON.stringify(row.finalizeFlow),
    row.stepCount,
    json(row.request),
    row.id,
  ];
}

export const ACTION_COLUMNS = [
  'plan_id',
  'id',
  'name',
  'version',
  'plan_step',
  'run_step',
  'finalize_step',
  'caller_plan',
  'caller_action',
  'input',
  'output_references',
  'output',
  'chunks_as',
  'progress_weights',
] as const;

export function actionValues(row: ActionRow): ColumnValue[] {
  return [
    row.plan,
    row.id,
    row.name,
    row.version,
    row.planStep,
    row.runStep,
    row.finalizeStep,
    row.callerPlan,
    row.callerAction,
    JSON.stringify(row.input),
    JSON.stringify(row.references),
    JSON.stringify(row.output),
    row.chunksAs,
    weights(row),
  ];
}

/** Most are 1 and 1, which takes no space. */
function weights({ progressWeights: { run, finalize } }: ActionRow): string | null {
  return run === 1 && finalize === 1 ? null : JSON.stringify({ run, finalize });
}

export const ACTION_CHANGES = ['output'] as const;

export function actionChangeValues(row: ActionRow): ColumnValue[] {
  return [JSON.stringify(row.output), row.plan, row.id];
}

export const STEP_COLUMNS = [
  'plan_id',
  'id',
  'kind',
  'action_id',
  'queue',
  'state',
  'attempt',
  'executor',
  'waiting_for',
  'wake_at',
  'error',
  'started_at',
  'ended_at',
  'execution_time',
  'detail',
  'progress',
  'retries',
] as const;

export function stepValues(row: StepRow): ColumnValue[] {
  return [
    row.plan,
    row.id,
    row.kind,
    row.action,
    row.queue,
    row.state,
    row.attempt,
    row.executor,
    row.waitingFor,
    row.wakeAtMs,
    json(row.error),
    row.startedAtMs,
    row.endedAtMs,
    row.executionTimeMs,
    JSON.stringify(row.detail),
    row.progress,
    row.retries,
  ];
}

export const STEP_CHANGES = [
  'state',
  'attempt',
  'executor',
  'waiting_for',
  'wake_at',
  'error',
  'started_at',
  'ended_at',
  'execution_time',
  'detail',
  'progress',
  'retries',
] as const;

export function stepChangeValues(row: StepRow): ColumnValue[] {
  return [
    row.state,
    row.attempt,
    row.executor,
    row.waitingFor,
    row.wakeAtMs,
    json(row.error),
    row.startedAtMs,
    row.endedAtMs,
    row.executionTimeMs,
    JSON.stringify(row.detail),
    row.progress,
    row.retries,
    row.plan,
    row.id,
  ];
}

/** The words by which a plan is found, as `dynflow_plan_attributes` holds them: name and value. */
export function attributeValues({ attributes }: PlanRow): [name: string, value: string][] {
  return [...new Map(Object.entries(attributes).map(([name, value]) => [attributeWord(name), attributeWord(value)]))];
}

/** A word as it can be in an index: not too long, and without the NUL that PostgreSQL has no place for. */
export function attributeWord(word: string): string {
  return word.slice(0, ATTRIBUTE_LIMIT).replaceAll('\u0000', '\uFFFD');
}

const ATTRIBUTE_LIMIT = 255;

/** The plans that a plan waits for, each once. */
export function dependencyValues({ schedule }: PlanRow): string[] {
  return schedule === null ? [] : [...new Set(schedule.after)];
}

export const CHUNK_COLUMNS = ['plan_id', 'action_id', 'seq', 'kind', 'timestamp', 'chunk', 'external_id'] as const;

export function chunkValues(row: ChunkRow): ColumnValue[] {
  return [
    row.plan,
    row.action,
    row.seq,
    row.kind,
    row.timestampMs,
    JSON.stringify(row.text),
    row.id === undefined ? null : JSON.stringify(row.id),
  ];
}
