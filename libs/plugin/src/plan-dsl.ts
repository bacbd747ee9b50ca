import type { JsonValue } from '@dynflow/kernel';
import type { PlanNode } from '@dynflow/contracts';

/**
 * The words in which a plan phase is written: `planSelf`, `planAction`, `sequence`, `concurrence`. They only build data; the gateway
 * turns it into steps and flows. The body of a plan is inside an implicit concurrence; what refers to an output comes after it.
 *
 * @example
 * ```ts
 * plan: [
 *   planSelf(inputWithout('callback')),
 *   planAction('dynflow_foreman_tasks.Callback', { callback: fromInput('callback'), data: outputOf('self') }, { when: ['callback'] }),
 * ]
 * ```
 */

/** Makes this action's own run and finalize steps. Default input: the one it was planned with. */
export function planSelf(input?: JsonValue): PlanNode {
  return input === undefined ? { kind: 'self' } : { kind: 'self', input };
}

/**
 * Plans another action, of any plugin, by its full name.
 *
 * @param options `as` names it for {@link outputOf}; `when` plans it only if the planning input has something other than null there.
 */
export function planAction(action: string, input: JsonValue, options: { as?: string; when?: string[] } = {}): PlanNode {
  return { kind: 'action', action, input, ...options };
}

/** These one after the other. A failure keeps the later ones from starting. */
export function sequence(...nodes: PlanNode[]): PlanNode {
  return { kind: 'sequence', nodes };
}

/** These side by side. */
export function concurrence(...nodes: PlanNode[]): PlanNode {
  return { kind: 'concurrence', nodes };
}

/** The value at this path of the input that the action was planned with; null where there is none. */
export function fromInput(...path: string[]): JsonValue {
  return { $input: path };
}

/** That whole input without some of its top-level keys. */
export function inputWithout(...keys: string[]): JsonValue {
  return { $omit: keys };
}

/** What will be the output of the run step of the action itself (`self`) or of a sibling (its `as`), whole or one value in it. */
export function outputOf(name: string, ...path: string[]): JsonValue {
  return { $output: name, path };
}
