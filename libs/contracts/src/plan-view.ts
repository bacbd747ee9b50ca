import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { Schedule } from './local.js';

/** States of an execution plan. */
export type PlanState = 'pending' | 'scheduled' | 'planning' | 'planned' | 'running' | 'paused' | 'stopped';
/** Results of an execution plan. */
export type PlanResult = 'pending' | 'success' | 'warning' | 'error' | 'cancelled' | 'halted';

/** An action of a plan as readers see it: references as they were planned, secrets as `"[hidden]"`, output with its chunks. */
export interface ActionView {
  id: number;
  name: string;
  planStepId: number;
  runStepId: number | null;
  finalizeStepId: number | null;
  callerPlan: string | null;
  callerAction: number | null;
  input: JsonObject;
  output: JsonObject;
  /** How it stands, in its author's words; absent where the reader has no declaration at hand. */
  humanizedState?: string;
}

/** A step as readers see it. */
export interface StepView {
  id: number;
  kind: 'plan' | 'run' | 'finalize';
  state: string;
  action: number;
  error: JsonObject | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  waitingFor: string | null;
  /** 0 to 1. */
  progress: number;
  /** How often it was run again by its retry policy. */
  retries: number;
  /** Runs that failed and were followed by another one, oldest first; only the last ten. Absent: none. */
  pastAttempts?: { attempt: number; endedAtMs: number; error: JsonObject }[];
}

/** A plan as it was last committed. */
export interface PlanView {
  id: string;
  label: string;
  state: PlanState;
  result: PlanResult;
  rootPlanStepId: number | null;
  /** Dynflow's encoding: a step id, or `["S" | "C", …]`. */
  runFlow: JsonValue;
  finalizeFlow: JsonValue;
  stepIds: number[];
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  realTimeMs: number;
  history: { timeMs: number; name: string; world: string | null }[];
  callerPlan: string | null;
  callerAction: number | null;
  priority: number;
  attributes: Record<string, string>;
  schedule: Schedule | null;
  /** Why nothing of it is begun at the moment, other than its steps' own reasons. */
  waitingFor: string | null;
  /** 0 to 1: the weighted mean over its run and finalize steps. */
  progress: number;
  /**
   * Why it is neither run nor resumed: its rows in the database do not fit together. What can be read of it is shown; null: all is well.
   */
  fault: string | null;
  actions: ActionView[];
  steps: StepView[];
}

/**
 * Whether a cancel of this plan finds anything to end: as long as it has not begun or is paused, itself; while it runs, a run step of an
 * action that reacts to it. Sub-plans are reached by it in either case.
 */
export function isPlanCancellable(
  plan: {
    readonly state: PlanState;
    readonly steps: readonly { readonly kind: string; readonly state: string; readonly action: number }[];
    readonly actions: readonly { readonly id: number; readonly name: string }[];
  },
  isCancellable: (action: string) => boolean,
): boolean {
  if (plan.state !== 'running') {
    return plan.state !== 'stopped';
  }
  const open = new Set(['pending', 'running', 'suspended']);
  const names = new Map(plan.actions.map(({ id, name }) => [id, name]));
  return plan.steps.some(({ kind, state, action }) => kind === 'run' && open.has(state) && isCancellable(names.get(action) ?? ''));
}
