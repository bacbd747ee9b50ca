import type { JsonObject } from '@dynflow/kernel';
import type { ActionView, PlanView, StepView } from '@dynflow/contracts';

/** The actions of a plan that have this full name, in planning order. */
export function plannedActions(plan: PlanView, action: string): ActionView[] {
  return plan.actions.filter(({ name }) => name === action);
}

/** Outputs of all actions of a plan that have this full name, in planning order. */
export function outputsOf(plan: PlanView, action: string): JsonObject[] {
  return plannedActions(plan, action).map(({ output }) => output);
}

/** The step that says how an action stands: the last of its steps that has begun. */
export function currentStepOf(plan: PlanView, action: ActionView): StepView | undefined {
  const ids = [action.finalizeStepId, action.runStepId, action.planStepId];
  const steps = ids.map((id) => (id === null ? undefined : (plan.steps[id - 1] ?? plan.steps.find((step) => step.id === id))));
  return steps.find((step) => step !== undefined && step.state !== 'pending') ?? steps.findLast((step) => step !== undefined);
}

/** How an action stands, in the words that its author chose for states, else by the state's own name. */
export function humanizedStateOf(plan: PlanView, action: ActionView, stateNames: Readonly<Record<string, string>>): string {
  const state = currentStepOf(plan, action)?.state ?? plan.state;
  return stateNames[state] ?? state;
}
