import type { JsonObject } from '@dynflow/kernel';
import { PlanNodeSchema, type PlanNode } from '@dynflow/contracts';
import { z } from 'zod';
import { planSelf } from '../plan-dsl.js';
import type { Plugin } from '../plugin.js';
import { parseActionInput } from '../runners/invocation.js';
import { findAction } from './find-action.js';

/**
 * What the plan phase of an action decides for an input: the tree as it goes to the gateway, placeholders and all.
 *
 * @throws Error when the plugin has no such action, when the input does not fit its schema, or when what was planned is no tree.
 */
export async function planOf(plugin: Plugin, actionName: string, input: JsonObject): Promise<PlanNode[]> {
  const action = findAction(plugin, actionName);
  const parsed = await parseActionInput(action, input);
  if (!parsed.ok) {
    throw new Error(parsed.outcome.kind === 'failed' ? parsed.outcome.error.message : 'the input does not fit');
  }
  const nodes = typeof action.plan === 'function' ? action.plan(parsed.input) : (action.plan ?? [planSelf()]);
  return z.array(PlanNodeSchema).parse(nodes);
}
