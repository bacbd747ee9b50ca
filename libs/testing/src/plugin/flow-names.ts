import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { PlanRecord } from '../engine/plan-record.js';

/** The run flow with names of actions in the places of steps: `["S", "demo.A", ["C", "demo.B", "demo.C"]]`. */
export function flowNames(plan: PlanRecord): JsonValue {
  const nameOf = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) {
      return value.map((item) => (typeof item === 'string' ? item : nameOf(item)));
    }
    return typeof value === 'number' ? plan.action(plan.step(value).action).name : value;
  };
  return nameOf(plan.runFlow);
}

/** Names of the actions that have a finalize phase, in its order. */
export function finalizeNames(plan: PlanRecord): string[] {
  return plan.steps.filter(({ kind }) => kind === 'finalize').map((step) => plan.action(step.action).name);
}

/** An input as its author wrote it: where it refers to an output, the reference in one word, `demo.A.output.key`. */
export function readableInput(plan: PlanRecord, input: JsonObject): JsonObject {
  const read = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) {
      return value.map(read);
    }
    if (!isJsonObject(value)) {
      return value;
    }
    const { class: kind, action_id: action, subkeys } = value;
    if (kind === 'Dynflow::ExecutionPlan::OutputReference' && typeof action === 'number' && Array.isArray(subkeys)) {
      return [plan.action(action).name, 'output', ...subkeys.map(String)].join('.');
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, read(item)]));
  };
  return Object.fromEntries(Object.entries(input).map(([key, item]) => [key, read(item)]));
}
