import { planProgress, type ProgressWeights } from '@dynflow/engine';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionView, PlanResult, PlanState, PlanView, StepView } from '@dynflow/contracts';
import type { ActionColumns } from '../entities/action.entity.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';
import type { StepColumns } from '../entities/step.entity.js';
import { weightsFromColumn } from './rows-from-columns.js';
import { StoredJson } from './stored-json.js';

/*
 * The columns that views are made of. Jobs are polled by the thousand, and most of what a row costs is its columns.
 */

export const PLAN_VIEW_COLUMNS = [
  'id',
  'label',
  'state',
  'result',
  'run_flow',
  'finalize_flow',
  'history',
  'started_at',
  'ended_at',
  'execution_time',
  'step_count',
  'caller_plan',
  'caller_action',
  'priority',
  'attributes',
  'schedule',
  'waiting_for',
] as const satisfies (keyof ExecutionPlanColumns)[];

export const ACTION_VIEW_COLUMNS = [
  'plan_id',
  'id',
  'name',
  'plan_step',
  'run_step',
  'finalize_step',
  'caller_plan',
  'caller_action',
  'input',
  'output',
  'chunks_as',
  'progress_weights',
] as const satisfies (keyof ActionColumns)[];

export const STEP_VIEW_COLUMNS = [
  'plan_id',
  'id',
  'kind',
  'action_id',
  'state',
  'error',
  'started_at',
  'ended_at',
  'execution_time',
  'waiting_for',
  'progress',
  'retries',
  'detail',
] as const satisfies (keyof StepColumns)[];

export const CHUNK_VIEW_COLUMNS = [
  'plan_id',
  'action_id',
  'kind',
  'timestamp',
  'chunk',
  'external_id',
] as const satisfies (keyof OutputChunkColumns)[];

export type PlanViewColumns = Pick<ExecutionPlanColumns, (typeof PLAN_VIEW_COLUMNS)[number]>;
export type ActionViewColumns = Pick<ActionColumns, (typeof ACTION_VIEW_COLUMNS)[number]>;
export type StepViewColumns = Pick<StepColumns, (typeof STEP_VIEW_COLUMNS)[number]>;
export type ChunkViewColumns = Pick<OutputChunkColumns, (typeof CHUNK_VIEW_COLUMNS)[number]>;

/** Rows of some plans: actions and steps in the order of their ids within a plan, chunks in the order in which they were written. */
export interface ViewRows {
  readonly plans: readonly PlanViewColumns[];
  readonly actions: readonly ActionViewColumns[];
  readonly steps: readonly StepViewColumns[];
  readonly chunks: readonly ChunkViewColumns[];
}

/** Puts plans together, in their order, each action's chunks in its output. */
export function planViews({ plans, actions, steps, chunks }: ViewRows): PlanView[] {
  const output = new Map<string, JsonObject[]>();
  for (const chunk of chunks) {
    const key = keyOf(chunk.plan_id, chunk.action_id);
    const list = output.get(key);
    if (list === undefined) {
      output.set(key, [chunkView(chunk)]);
    } else {
      list.push(chunkView(chunk));
    }
  }
  const json = new Map(plans.map((plan) => [plan.id, new StoredJson()]));
  const jsonOf = (plan: string): StoredJson => json.get(plan) ?? new StoredJson();
  const views = new Map(plans.map((plan) => [plan.id, planView(plan, jsonOf(plan.id))]));
  // Those that are other than 1 and 1.
  const weights = new Map<string, ProgressWeights>();
  for (const action of actions) {
    if (action.progress_weights !== null) {
      weights.set(keyOf(action.plan_id, action.id), weightsFromColumn(action.progress_weights, jsonOf(action.plan_id)));
    }
    views.get(action.plan_id)?.actions.push(actionView(action, output, jsonOf(action.plan_id)));
  }
  for (const step of steps) {
    const view = views.get(step.plan_id);
    view?.steps.push(stepView(step, jsonOf(step.plan_id)));
    view?.stepIds.push(step.id);
  }
  for (const { id, step_count: count } of plans) {
    const view = views.get(id);
    if (view === undefined) {
      continue;
    }
    view.rootPlanStepId = view.actions[0]?.planStepId ?? null;
    view.progress = planProgress(view.state, view.steps, (action) => weights.get(keyOf(id, action)) ?? EQUAL_WEIGHTS);
    view.fault = jsonOf(id).fault ?? faultOf(view, count);
  }
  return [...views.values()];
}

const EQUAL_WEIGHTS: ProgressWeights = { run: 1, finalize: 1 };

/** The same is looked at before a plan is run. */
function faultOf({ steps, actions }: PlanView, count: number): string | null {
  if (steps.length !== count) {
    return `it has ${count} steps, and ${steps.length} are stored`;
  }
  const stray = steps.find(({ action }) => action > actions.length);
  return stray === undefined ? null : `step ${stray.id} is of action ${stray.action}, which is not stored`;
}

/** Without its actions and steps. */
function planView(plan: PlanViewColumns, json: StoredJson): PlanView {
  return {
    id: plan.id,
    label: plan.label,
    // The casts are the promise of those who write: only this library does.
    state: plan.state as PlanState,
    result: plan.result as PlanResult,
    rootPlanStepId: null,
    runFlow: json.read<JsonValue>('run_flow', plan.run_flow, ['S']),
    finalizeFlow: json.read<JsonValue>('finalize_flow', plan.finalize_flow, ['S']),
    stepIds: [],
    startedAtMs: plan.started_at,
    endedAtMs: plan.ended_at,
    executionTimeMs: plan.execution_time,
    realTimeMs: plan.started_at === null || plan.ended_at === null ? 0 : plan.ended_at - plan.started_at,
    history: json.read<PlanView['history']>('history', plan.history, []),
    callerPlan: plan.caller_plan,
    callerAction: plan.caller_action,
    priority: plan.priority,
    attributes: json.read<PlanView['attributes']>('attributes', plan.attributes, {}),
    schedule: json.readOrNull<NonNullable<PlanView['schedule']>>('schedule', plan.schedule),
    waitingFor: plan.waiting_for,
    progress: 0,
    fault: null,
    actions: [],
    steps: [],
  };
}

function actionView(action: ActionViewColumns, chunks: ReadonlyMap<string, JsonObject[]>, json: StoredJson): ActionView {
  const output = json.read<JsonObject>(`output of action ${action.id}`, action.output, {});
  return {
    id: action.id,
    name: action.name,
    planStepId: action.plan_step,
    runStepId: action.run_step,
    finalizeStepId: action.finalize_step,
    callerPlan: action.caller_plan,
    callerAction: action.caller_action,
    input: json.read<JsonObject>(`input of action ${action.id}`, action.input, {}),
    // The list is there from the beginning: who polls a job that has said nothing yet gets an empty one.
    output:
      action.chunks_as === null || action.run_step === null
        ? output
        : { ...output, [action.chunks_as]: chunks.get(keyOf(action.plan_id, action.id)) ?? [] },
  };
}

function stepView(step: StepViewColumns, json: StoredJson): StepView {
  return {
    id: step.id,
    kind: step.kind as StepView['kind'],
    state: step.state,
    action: step.action_id,
    error: json.readOrNull<JsonObject>(`error of step ${step.id}`, step.error),
    startedAtMs: step.started_at,
    endedAtMs: step.ended_at,
    executionTimeMs: step.execution_time,
    waitingFor: step.waiting_for,
    progress: step.progress,
    retries: step.retries,
    ...pastAttemptsOf(step.detail),
  };
}

/** Few steps have any, and the detail of a step may be long. */
function pastAttemptsOf(detail: string): Pick<StepView, 'pastAttempts'> {
  if (!detail.includes('"pastAttempts"')) {
    return {};
  }
  const { pastAttempts } = JSON.parse(detail) as { pastAttempts?: NonNullable<StepView['pastAttempts']> };
  return pastAttempts === undefined ? {} : { pastAttempts };
}

/** A piece of output as it stands in an action's output: Dynflow's and Foreman's keys, seconds with a fraction. */
function chunkView(chunk: ChunkViewColumns): JsonObject {
  return {
    output_type: chunk.kind,
    output: JSON.parse(chunk.chunk) as string,
    timestamp: chunk.timestamp / 1000,
    ...(chunk.external_id === null ? {} : { id: JSON.parse(chunk.external_id) as string | number }),
  };
}

function keyOf(plan: string, action: number): string {
  return `${plan} ${action}`;
}
