import { pluginOf } from '@dynflow/contracts';
import { actionOf, type Plan, type Step } from './model.js';
import type { ActionCatalogue } from './ports.js';
import type { Turn } from './turn.js';

/*
 * A plan runs on under the versions of its actions that it was made under. While nobody serves such a version its steps wait and say so;
 * no token goes out for them.
 */

/** What a ready step waits for beyond a free slot; null: nothing. */
export function waitsForVersion(plan: Plan, step: Step, catalogue: ActionCatalogue): string | null {
  const { name, version } = actionOf(plan, step.action).declaration;
  const served = catalogue.servedVersions?.(name);
  if (served === undefined || served.has(version)) {
    return null;
  }
  const others = [...served].sort((a, b) => a - b).join(', ');
  return `an executor that serves ${name} version ${version} (served: ${others === '' ? 'none' : others})`;
}

/** Executors of a plugin have come, changed or gone: its ready steps say anew what they wait for, and get tokens if they can be had. */
export function servedChanged(plans: Iterable<Plan>, catalogue: ActionCatalogue, plugin: string, turn: Turn): void {
  for (const plan of plans) {
    for (const step of plan.state === 'running' ? plan.steps : []) {
      if (!step.isReady || pluginOf(actionOf(plan, step.action).declaration.name) !== plugin) {
        continue;
      }
      const waitsFor = waitsForVersion(plan, step, catalogue);
      if (waitsFor !== step.waitsFor) {
        step.waitsFor = waitsFor;
        turn.touchStep(plan, step);
        turn.ready.push({ plan, step });
      }
    }
  }
}
