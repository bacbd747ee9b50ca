import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { ActionView, PlanView } from '@dynflow/plugin';

/** UTC, `YYYY-MM-DD HH:MM:SS.mmm`: how status documents write times. */
export function documentTime(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString().replace('T', ' ').replace('Z', '');
}

/** The status document of a plan, as Foreman and smart proxies read it: Dynflow's plan with its actions. */
export function statusDocument(plan: PlanView): JsonObject {
  return {
    id: plan.id,
    class: 'Dynflow::ExecutionPlan',
    label: plan.label,
    state: plan.state,
    result: plan.result,
    root_plan_step_id: plan.rootPlanStepId,
    run_flow: plan.runFlow,
    finalize_flow: plan.finalizeFlow,
    step_ids: plan.stepIds,
    started_at: documentTime(plan.startedAtMs),
    ended_at: documentTime(plan.endedAtMs),
    execution_time: plan.executionTimeMs / 1_000,
    real_time: plan.realTimeMs / 1_000,
    execution_history: plan.history.map((entry) => ({
      time: Math.floor(entry.timeMs / 1_000),
      name: entry.name,
      world_id: entry.world,
    })),
    actions: plan.actions.map((action) => actionDocument(plan, action)),
  };
}

function actionDocument(plan: PlanView, action: ActionView): JsonObject {
  return {
    class: action.name,
    execution_plan_id: plan.id,
    id: action.id,
    plan_step_id: action.planStepId,
    run_step_id: action.runStepId,
    finalize_step_id: action.finalizeStepId,
    caller_execution_plan_id: action.callerPlan,
    caller_action_id: action.callerAction,
    input: inputDocument(plan, action),
    output: action.output,
  };
}

/** Inputs as they were always shown: a batch without what is only ours, a delivered callback without the data it carried. */
function inputDocument(plan: PlanView, action: ActionView): JsonObject {
  if (action.name === 'dynflow_foreman_tasks.Batch') {
    return without(action.input, 'action');
  }
  const step = plan.steps.find((candidate) => candidate.id === action.runStepId);
  const isDelivered = action.name === 'dynflow_foreman_tasks.Callback' && step?.state === 'success';
  return isDelivered ? without(action.input, 'data') : action.input;
}

function without(input: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(input).filter(([name]) => name !== key));
}

/** True for an object; narrows unknown JSON of a request. */
export function asObject(value: JsonValue | undefined): JsonObject | undefined {
  return value !== undefined && isJsonObject(value) ? value : undefined;
}
