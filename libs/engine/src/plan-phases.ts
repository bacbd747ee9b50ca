import type { PhasedPlan } from '@dynflow/contracts';
import { guard, type EngineOptions } from './engine-parts.js';
import { hasFinalizeSteps, type Plan } from './model.js';
import { InvalidPlanError, type PlannedAction, type PlannedNode } from './plan-expansion.js';
import type { PlanPhases } from './ports.js';
import type { Turn } from './turn.js';

/** Has the tree of a plan made inside whatever wraps its planning. @throws what they throw, and an error if they never pass on. */
export async function inPlanPhase(phases: PlanPhases | undefined, plan: Plan, make: () => Promise<PlannedAction>): Promise<PlannedAction> {
  if (phases?.wrapsPlanning !== true) {
    return make();
  }
  let root: PlannedAction | undefined;
  await phases.planPhase(phasedPlan(plan), async () => {
    root = await make();
    return namesOf(root);
  });
  if (root === undefined) {
    throw new InvalidPlanError('a middleware around the planning of this plan did not let it be planned');
  }
  return root;
}

/** Names of the actions in planning order. */
function namesOf(root: PlannedAction): string[] {
  const names: string[] = [];
  const visitNodes = (nodes: readonly PlannedNode[]): void => {
    for (const node of nodes) {
      if (node.kind === 'action') {
        visit(node.planned);
      } else if (node.kind !== 'self') {
        visitNodes(node.nodes);
      }
    }
  };
  const visit = (planned: PlannedAction): void => {
    names.push(planned.declaration.name);
    visitNodes(planned.body);
    planned.subscribers.forEach(visit);
  };
  visit(root);
  return names;
}

/** Tells of finalize phases that began and ended in a turn. Its caller sees to it that no token has left before. */
export function tellFinalizePhases(options: EngineOptions, turn: Turn): void {
  const { phases } = options;
  if (phases === undefined) {
    return;
  }
  for (const plan of turn.finalizing) {
    guard(options, `the finalize phase of ${plan.id} could not be told`, () => phases.finalizeBegins(phasedPlan(plan)));
  }
  for (const plan of turn.rested) {
    if (plan.phase === 'finalize' && hasFinalizeSteps(plan)) {
      guard(options, `the end of the finalize phase of ${plan.id} could not be told`, () => phases.finalizeEnds(plan.id));
    }
  }
}

export function phasedPlan(plan: Plan): PhasedPlan {
  const action = plan.request?.action ?? plan.actions[0]?.declaration.name ?? plan.label;
  return { id: plan.id, label: plan.label, action, callerPlan: plan.callerPlan };
}
