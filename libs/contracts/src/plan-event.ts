import type { PlanResult, PlanState } from './plan-view.js';

/**
 * What a hook may be called for: each state that a plan comes into, and how it stopped. `failure` is every end that is no success:
 * error, warning, cancelled, halted.
 */
export type PlanEventKind = PlanState | 'success' | 'failure';

/** A plan as those see it who stand around a phase of it as a whole. */
export interface PhasedPlan {
  readonly id: string;
  readonly label: string;
  /** The action that the plan is made for. */
  readonly action: string;
  readonly callerPlan: string | null;
}

/** A plan came into a state, seen from one of its actions. It is committed already. */
export interface PlanEvent {
  readonly kind: PlanEventKind;
  readonly plan: string;
  readonly label: string;
  /** The state that it came into; it may have left it again by now. */
  readonly state: PlanState;
  readonly result: PlanResult;
  /** The plan that asked for this one, if it is a sub-plan. */
  readonly callerPlan: string | null;
  readonly action: { readonly id: number; readonly name: string };
  /** The action that the plan was made for. Before a plan is planned, it has no other. */
  readonly isRootAction: boolean;
}
