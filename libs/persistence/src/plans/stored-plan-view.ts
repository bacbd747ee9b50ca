import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionRow, PlanResult, PlanState, StepRow, StoredPlan } from '@dynflow/engine';
import type { OutputChunkColumns } from '../entities/output-chunk.entity.js';

/** An action as readers see it: input as it is stored, output with its chunks. */
export interface StoredActionView {
  id: number;
  name: string;
  planStepId: number;
  runStepId: number | null;
  finalizeStepId: number | null;
  callerPlan: string | null;
  callerAction: number | null;
  input: JsonObject;
  output: JsonObject;
}

/** A step as readers see it. */
export interface StoredStepView {
  id: number;
  kind: 'plan' | 'run' | 'finalize';
  state: string;
  action: number;
  error: JsonObject | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  waitingFor: string | null;
}

/** A plan with its actions and steps as it was last committed. */
export interface StoredPlanView {
  id: string;
  label: string;
  state: PlanState;
  result: PlanResult;
  rootPlanStepId: number | null;
  runFlow: JsonValue;
  finalizeFlow: JsonValue;
  stepIds: number[];
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  /** From start to end; 0 while it has not ended. */
  realTimeMs: number;
  history: { timeMs: number; name: string; world: string | null }[];
  callerPlan: string | null;
  callerAction: number | null;
  actions: StoredActionView[];
  steps: StoredStepView[];
}

/** A piece of output as it stands in an action's output, in Foreman's terms. */
interface ChunkView extends JsonObject {
  output_type: string;
  output: string;
  /** Seconds. */
  timestamp: number;
}

/** Puts the chunks of these plans into their actions' output. Chunks must come in the order in which they were written. */
export function planViews(stored: readonly StoredPlan[], chunks: readonly OutputChunkColumns[]): StoredPlanView[] {
  const byAction = new Map<string, ChunkView[]>();
  for (const chunk of chunks) {
    const key = keyOf(chunk.plan_id, chunk.action_id);
    const list = byAction.get(key);
    if (list === undefined) {
      byAction.set(key, [chunkView(chunk)]);
    } else {
      list.push(chunkView(chunk));
    }
  }
  return stored.map((one) => planView(one, byAction));
}

function planView({ plan, actions, steps }: StoredPlan, chunks: ReadonlyMap<string, ChunkView[]>): StoredPlanView {
  return {
    id: plan.id,
    label: plan.label,
    state: plan.state,
    result: plan.result,
    rootPlanStepId: actions[0]?.planStep ?? null,
    runFlow: plan.runFlow,
    finalizeFlow: plan.finalizeFlow,
    stepIds: steps.map(({ id }) => id),
    startedAtMs: plan.startedAtMs,
    endedAtMs: plan.endedAtMs,
    executionTimeMs: plan.executionTimeMs,
    realTimeMs: plan.startedAtMs === null || plan.endedAtMs === null ? 0 : plan.endedAtMs - plan.startedAtMs,
    history: plan.history,
    callerPlan: plan.callerPlan,
    callerAction: plan.callerAction,
    actions: actions.map((action) => actionView(action, chunks)),
    steps: steps.map(stepView),
  };
}

function actionView(action: ActionRow, chunks: ReadonlyMap<string, ChunkView[]>): StoredActionView {
  const { output } = action;
  return {
    id: action.id,
    name: action.name,
    planStepId: action.planStep,
    runStepId: action.runStep,
    finalizeStepId: action.finalizeStep,
    callerPlan: action.callerPlan,
    callerAction: action.callerAction,
    input: action.input,
    // The list is there from the beginning: who polls a job that has said nothing yet gets an empty one.
    output:
      action.chunksAs === null || action.runStep === null
        ? output
        : { ...output, [action.chunksAs]: chunks.get(keyOf(action.plan, action.id)) ?? [] },
  };
}

function stepView(step: StepRow): StoredStepView {
  return {
    id: step.id,
    kind: step.kind,
    state: step.state,
    action: step.action,
    error: step.error as JsonObject | null,
    startedAtMs: step.startedAtMs,
    endedAtMs: step.endedAtMs,
    executionTimeMs: step.executionTimeMs,
    waitingFor: step.waitingFor,
  };
}

function chunkView(chunk: OutputChunkColumns): ChunkView {
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
