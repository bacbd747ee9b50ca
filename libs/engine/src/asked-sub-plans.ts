import { derivedUuid } from '@dynflow/kernel';
import type { StepErrorV1, SubPlanRequest, SubPlanV1 } from '@dynflow/contracts';
import type { AskedSubPlans, Plan, Step } from './model.js';
import type { ActionCatalogue } from './ports.js';
import type { Turn } from './turn.js';

/*
 * Sub-plans as they are asked for, before they are made: by the step of an executor, with which they are stored, or by a local action.
 */

/** Sub-plans that steps of a plan from the store asked for and did not get are made. */
export function askAgain(plan: Plan, turn: Turn): void {
  for (const step of plan.steps) {
    if (step.askedSubPlans !== null) {
      turn.asked.push({ parent: plan, step });
    }
  }
}

/** What an executor's step asks for, as it is stored until it is made; or why it cannot be had. */
export function askedSubPlans(
  asked: { readonly children: readonly SubPlanV1[]; readonly concurrencyLimit?: number | undefined },
  plan: Plan,
  step: Step,
  catalogue: ActionCatalogue,
): AskedSubPlans | { error: StepErrorV1 } {
  for (const { action, input } of asked.children) {
    const key = catalogue.declarationOf(action)?.secrets.find((secret) => input[secret] !== undefined);
    if (key !== undefined) {
      const message = `a sub-plan of ${action} was asked for with its secret input "${key}": secrets cannot be handed to sub-plans in the open`;
      return { error: { errorClass: 'SecretInSubPlanError', message, code: 'DYN_SECRET_IN_SUB_PLAN', kind: 'final' } };
    }
  }
  const before = step.askedSubPlans?.children ?? [];
  const children = [...before, ...withIds(asked.children, plan, step, step.attempt, 0)];
  return { children, concurrencyLimit: asked.concurrencyLimit ?? step.askedSubPlans?.concurrencyLimit ?? null };
}

/** Ids for sub-plans that have none: they follow from who asks, so that asking again after a failure makes nothing twice. */
export function withIds(
  children: readonly (SubPlanRequest | SubPlanV1)[],
  plan: Plan,
  step: Step,
  attempt: number,
  place: number,
): SubPlanRequest[] {
  return children.map((child, index) => ({ id: derivedUuid(plan.id, step.id, attempt, place, index), ...withoutUndefined(child) }));
}

function withoutUndefined(child: SubPlanRequest | SubPlanV1): SubPlanRequest {
  return Object.fromEntries(Object.entries(child).filter(([, value]) => value !== undefined)) as unknown as SubPlanRequest;
}
