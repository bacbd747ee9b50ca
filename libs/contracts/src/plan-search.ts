import type { PlanResult, PlanState } from './plan-view.js';

/** One word, or several of which any will do; an empty list matches nothing. */
export type OneOrMany = string | readonly string[];

/**
 * Which plans are meant. What is absent does not matter; of what is given all must fit. A word that is no state (or result) matches
 * nothing. Times are epoch milliseconds, `…FromMs` inclusive, `…ToMs` exclusive; a plan without that time does not match.
 */
export interface PlanFilter {
  readonly id?: OneOrMany;
  readonly state?: OneOrMany;
  readonly result?: OneOrMany;
  readonly label?: OneOrMany;
  /** Part of the label, in upper or lower case. */
  readonly labelContains?: string;
  /** Only the sub-plans of these plans. */
  readonly callerPlan?: OneOrMany;
  /** Only the sub-plans of this action of theirs. */
  readonly callerAction?: number;
  /** Whether it is scheduled for later and has not begun. */
  readonly isDelayed?: boolean;
  readonly createdFromMs?: number;
  readonly createdToMs?: number;
  readonly startedFromMs?: number;
  readonly startedToMs?: number;
  readonly endedFromMs?: number;
  readonly endedToMs?: number;
  /** The plan's attributes by name, `host` and `external_id` among them. */
  readonly attributes?: Readonly<Record<string, OneOrMany>>;
}

/** `number`: the order in which plans were made. A plan that has no such time stands before all others. */
export type PlanOrder = 'number' | 'createdAt' | 'startedAt' | 'endedAt' | 'label' | 'state' | 'result' | 'executionTime';

/** A page of plans. */
export interface PlanQuery extends PlanFilter {
  /** Default: the time by which it is filtered (`startedAt` before `endedAt` and `createdAt`), else `number`. Equal ones stand by number. */
  readonly orderBy?: PlanOrder;
  /** Default: `descending`, the newest first. */
  readonly direction?: 'ascending' | 'descending';
  /** Goes on after the plan with this number, so that plans made meanwhile shift nothing. */
  readonly after?: number;
  /** Leaves out so many. */
  readonly offset?: number;
  readonly limit: number;
}

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
  waitingFor: string | null;
  attributes: Record<string, string>;
}

/** How many plans are in a state with a result. */
export interface PlanCount {
  state: PlanState;
  result: PlanResult;
  count: number;
}
