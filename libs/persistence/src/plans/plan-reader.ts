import type { PlanView } from '@dynflow/contracts';
import type { PlanResult, PlanState } from '@dynflow/engine';

/** What a list shows of a plan. */
export interface PlanSummary {
  /** Counts up with each plan that is made; where a list goes on. */
  number: number;
  id: string;
  label: string;
  state: PlanState;
  result: PlanResult;
  createdAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  callerPlan: string | null;
  callerAction: number | null;
}

export interface PlanListQuery {
  readonly state?: string;
  readonly result?: string;
  readonly label?: string;
  /** Only the sub-plans of this plan. */
  readonly callerPlan?: string;
  /** In the order in which plans were made; default: the newest first. */
  readonly order?: 'newest' | 'oldest';
  /** Goes on after the plan with this number, so that plans made meanwhile shift nothing. */
  readonly after?: number;
  readonly offset?: number;
  readonly limit: number;
}

/** Reads plans as they were last committed. Unknown ids are absent, never an error. */
export interface PlanReader {
  /** Whole plans, output chunks included, in the order asked. A plan is consistent in itself; two plans may be of different moments. */
  plans(ids: readonly string[]): Promise<PlanView[]>;
  states(ids: readonly string[]): Promise<Map<string, { state: PlanState; result: PlanResult }>>;
  /** How many plans are in this state, or in all; 0 for a word that is no state. */
  count(state?: string): Promise<number>;
  list(query: PlanListQuery): Promise<PlanSummary[]>;
}
