import { DynflowError } from '@dynflow/kernel';
import type { PlanResult, PlanState } from '@dynflow/contracts';

export type { PlanResult, PlanState };

/*
 * The two state machines of Dynflow's model: execution plans and steps. State and result are two axes: states move along these
 * tables, results are derived from the steps (see `resultOf`).
 */

export type StepKind = 'plan' | 'run' | 'finalize';
export type StepStateName = 'scheduling' | 'pending' | 'running' | 'success' | 'suspended' | 'skipping' | 'skipped' | 'error' | 'cancelled';

export const PLAN_TRANSITIONS = {
  pending: ['stopped', 'scheduled', 'planning'],
  scheduled: ['planning', 'stopped'],
  planning: ['planned', 'stopped'],
  planned: ['running', 'stopped'],
  running: ['paused', 'stopped'],
  paused: ['running', 'stopped'],
  stopped: [],
} as const satisfies Record<PlanState, readonly PlanState[]>;

/** The states that a plan passed through to be where it is when it is first recorded, or recorded as planned. */
export function statesUpTo(from: PlanState | null, to: PlanState): PlanState[] {
  const way: PlanState[] = from === null ? ['pending'] : [];
  const isPlanned = to === 'planned' || to === 'stopped';
  if (isPlanned && from !== 'planning') {
    way.push('planning');
  }
  return to === 'pending' ? way : [...way, to];
}

type StepTable = Readonly<Record<StepStateName, readonly StepStateName[]>>;

const PLAN_STEP: StepTable = {
  scheduling: ['pending', 'error', 'cancelled'],
  pending: ['running', 'error', 'cancelled'],
  running: ['success', 'error', 'cancelled'],
  success: [],
  suspended: [],
  skipping: [],
  skipped: [],
  error: [],
  cancelled: [],
};

const RUN_STEP: StepTable = {
  scheduling: [],
  pending: ['running', 'skipped', 'error'],
  running: ['success', 'error', 'suspended'],
  success: ['suspended'],
  suspended: ['running', 'error'],
  skipping: ['error', 'skipped'],
  skipped: [],
  error: ['skipping', 'running'],
  cancelled: [],
};

const FINALIZE_STEP: StepTable = {
  scheduling: [],
  pending: ['running', 'skipped'],
  running: ['success', 'error'],
  success: ['pending'],
  suspended: [],
  skipping: [],
  skipped: [],
  error: ['pending', 'skipped'],
  cancelled: [],
};

export const STEP_TRANSITIONS: Readonly<Record<StepKind, StepTable>> = { plan: PLAN_STEP, run: RUN_STEP, finalize: FINALIZE_STEP };

/** Thrown on a move that the tables do not have. It is a defect of the engine, never of a caller. */
export class IllegalTransitionError extends DynflowError {
  constructor(what: string, from: string, to: string) {
    super('DYN_ILLEGAL_TRANSITION', `${what} cannot go from ${from} to ${to}`, { context: { what, from, to } });
  }
}

/** @throws IllegalTransitionError */
export function assertPlanTransition(from: PlanState, to: PlanState): void {
  if (!(PLAN_TRANSITIONS[from] as readonly PlanState[]).includes(to)) {
    throw new IllegalTransitionError('an execution plan', from, to);
  }
}

/** @throws IllegalTransitionError */
export function assertStepTransition(kind: StepKind, from: StepStateName, to: StepStateName): void {
  if (!STEP_TRANSITIONS[kind][from].includes(to)) {
    throw new IllegalTransitionError(`a ${kind} step`, from, to);
  }
}

/** How many steps of a plan are in each state; kept up to date so that a result costs the same for any size of plan. */
export type StepTally = Record<StepStateName, number>;

export function emptyTally(): StepTally {
  return { scheduling: 0, pending: 0, running: 0, success: 0, suspended: 0, skipping: 0, skipped: 0, error: 0, cancelled: 0 };
}

/**
 * The result that the steps make, in Dynflow's order of precedence. A plan that was halted has a result of its own (see `planResult`):
 * its steps say only where it was stopped.
 */
export function resultOf(tally: StepTally): PlanResult {
  if (tally.cancelled > 0) {
    return 'cancelled';
  }
  if (tally.error > 0) {
    return 'error';
  }
  if (tally.skipping > 0 || tally.skipped > 0) {
    return 'warning';
  }
  const open = tally.scheduling + tally.pending + tally.running + tally.suspended;
  return open === 0 && tally.success > 0 ? 'success' : 'pending';
}
