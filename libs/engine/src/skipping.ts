import { assertNever } from '@dynflow/kernel';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import type { Turn } from './turn.js';

/** By plan, found when first needed: many steps may be skipped, and each must not cost a look at all actions. */
const DEPENDENTS = new WeakMap<Plan, Map<number, Step[]>>();

/** Skips a failed step with everything that needs its output. The plan must not be running. @returns the ids of the skipped steps. */
export function skip(plan: Plan, first: Step, turn: Turn): number[] {
  const skipped: number[] = [];
  const queue = first.state.name === 'error' ? [first] : [];
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    if (!skipStep(plan, step, turn)) {
      continue;
    }
    skipped.push(step.id);
    const action = actionOf(plan, step.action);
    if (step.kind === 'run' && action.finalizeStep !== null) {
      queue.push(stepOf(plan, action.finalizeStep));
    }
    queue.push(...dependentsOf(plan, step.id));
  }
  turn.touchPlan(plan);
  return skipped;
}

/** The run steps whose input takes the output of this one. */
function dependentsOf(plan: Plan, id: number): readonly Step[] {
  let dependents = DEPENDENTS.get(plan);
  if (dependents === undefined) {
    dependents = new Map();
    for (const { runStep, references } of plan.actions) {
      for (const source of new Set(references.map(({ step }) => step))) {
        const known = dependents.get(source) ?? [];
        dependents.set(source, known);
        if (runStep !== null) {
          known.push(stepOf(plan, runStep));
        }
      }
    }
    DEPENDENTS.set(plan, dependents);
  }
  return dependents.get(id) ?? [];
}

function skipStep(plan: Plan, step: Step, turn: Turn): boolean {
  switch (step.state.name) {
    case 'error':
      if (step.kind === 'run') {
        moveStep(plan, step, { name: 'skipping' }, turn);
      }
      moveStep(plan, step, { name: 'skipped' }, turn);
      return true;
    case 'pending':
      moveStep(plan, step, { name: 'skipped' }, turn);
      return true;
    case 'scheduling':
    case 'running':
    case 'suspended':
    case 'success':
    case 'skipping':
    case 'skipped':
    case 'cancelled':
      return false;
    default:
      return assertNever(step.state);
  }
}
