import type { ActionDefinition } from '../action.js';
import type { Plugin } from '../plugin.js';

/** The action of this short name. @throws Error that lists the names there are. */
export function findAction(plugin: Plugin, name: string): ActionDefinition {
  const actions: ActionDefinition[] = plugin.actions ?? [];
  const action = actions.find((one) => one.name === name);
  if (action === undefined) {
    throw new Error(`${plugin.name} has no action "${name}", only: ${actions.map((one) => one.name).join(', ') || 'none'}`);
  }
  return action;
}
