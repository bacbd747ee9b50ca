import { DynflowError } from '@dynflow/kernel';

/** Thrown when the rows of a plan do not fit together: it can be shown, and is neither run nor resumed. */
export class InconsistentPlanError extends DynflowError {
  constructor(plan: string, message: string) {
    super('DYN_PLAN_INCONSISTENT', `the stored data of plan ${plan} do not fit together: ${message}`, { context: { plan } });
  }
}

/** What is looked at of a stored plan. */
interface Rows {
  readonly plan: { readonly id: string; readonly stepCount: number };
  readonly actions: readonly unknown[];
  readonly steps: readonly { readonly id: number; readonly action: number }[];
  readonly fault?: string;
}

/** @throws InconsistentPlanError when steps are missing, or are of actions that are missing. */
export function assertConsistent({ plan, actions, steps, fault }: Rows): void {
  if (fault !== undefined) {
    throw new InconsistentPlanError(plan.id, fault);
  }
  if (steps.length !== plan.stepCount) {
    throw new InconsistentPlanError(plan.id, `it has ${plan.stepCount} steps, and ${steps.length} are stored`);
  }
  const stray = steps.find(({ action }) => action > actions.length);
  if (stray !== undefined) {
    throw new InconsistentPlanError(plan.id, `step ${stray.id} is of action ${stray.action}, which is not stored`);
  }
}
