import type { JsonObject } from '@dynflow/kernel';
import type { PlanNode } from '@dynflow/contracts';
import { middlewareOf } from '../middleware.js';
import type { Plugin } from '../plugin.js';
import { performPlanPhase } from '../runners/phases.js';
import { findAction } from './find-action.js';

/**
 * What the plan phase of an action decides for an input, middleware included: the tree as it goes to the gateway, placeholders and all.
 *
 * @throws Error when the plugin has no such action, when the input does not fit its schema, or when what was planned is no tree.
 */
export async function planOf(plugin: Plugin, actionName: string, input: JsonObject): Promise<PlanNode[]> {
  const action = findAction(plugin, actionName);
  const around = { name: `${plugin.name}.${action.name}`, action, middleware: middlewareOf(plugin, action) };
  return (await performPlanPhase(around, input)).nodes;
}
