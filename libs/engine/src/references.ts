import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { OutputChunkV1 } from '@dynflow/contracts';
import { actionOf, type Action, type OutputReference, type Plan } from './model.js';
import type { PlanStore } from './ports.js';

/** Fills in outputs where inputs refer to them, at the moment when an input leaves the engine. */
export class ReferenceResolver {
  readonly #store: PlanStore;

  constructor(store: PlanStore) {
    this.#store = store;
  }

  /** The action's input with every reference replaced by the output it stands for; null where the output has no such value. */
  async resolveInput(plan: Plan, action: Action): Promise<JsonObject> {
    let input: JsonValue = action.input;
    for (const reference of action.references) {
      input = replaceAt(input, reference.at, await this.#valueOf(plan, reference));
    }
    return input as JsonObject;
  }

  /**
   * The input of a local action, which runs in the turn and cannot wait for the store: outputs with chunks stay references there, and
   * are resolved when they leave in the payload of an effect.
   */
  resolveInTurn(plan: Plan, action: Action): JsonObject {
    let input: JsonValue = action.input;
    for (const reference of action.references) {
      const source = actionOf(plan, reference.action);
      if (source.declaration.chunksAs === undefined) {
        input = replaceAt(input, reference.at, valueIn(source.output, reference.subkeys));
      }
    }
    return input as JsonObject;
  }

  /** The same as {@link resolveInput} for a value that a local action made from its input: references shown in it are looked up among the action's own. */
  async resolvePayload(plan: Plan, action: Action, payload: JsonValue): Promise<JsonValue> {
    if (Array.isArray(payload)) {
      return Promise.all(payload.map((item) => this.resolvePayload(plan, action, item)));
    }
    if (!isJsonObject(payload)) {
      return payload;
    }
    const reference = action.references.find((candidate) => isViewOf(candidate, plan, payload));
    if (reference !== undefined) {
      return this.#valueOf(plan, reference);
    }
    const entries = await Promise.all(
      Object.entries(payload).map(async ([key, value]) => [key, await this.resolvePayload(plan, action, value)] as const),
    );
    return Object.fromEntries(entries);
  }

  async #valueOf(plan: Plan, reference: OutputReference): Promise<JsonValue> {
    const source = actionOf(plan, reference.action);
    let value: JsonValue = source.output;
    const { chunksAs } = source.declaration;
    if (chunksAs !== undefined) {
      const chunks = await this.#store.chunks(plan.id, source.id);
      value = { ...source.output, [chunksAs]: chunks.map(chunkView) };
    }
    return valueIn(value, reference.subkeys);
  }
}

function valueIn(output: JsonValue, subkeys: readonly string[]): JsonValue {
  let value = output;
  for (const key of subkeys) {
    value = isJsonObject(value) ? (value[key] ?? null) : null;
  }
  return value;
}

/** A chunk as it appears in an action's output: Dynflow's and Foreman's keys, seconds with a fraction. */
export function chunkView(chunk: OutputChunkV1): JsonObject {
  const view: JsonObject = { output_type: chunk.kind, output: chunk.text, timestamp: chunk.timestampMs / 1_000 };
  if (chunk.id !== undefined) {
    view['id'] = chunk.id;
  }
  return view;
}

function replaceAt(value: JsonValue, path: readonly string[], replacement: JsonValue): JsonValue {
  const [key, ...rest] = path;
  if (key === undefined) {
    return replacement;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => (String(index) === key ? replaceAt(item, rest, replacement) : item));
  }
  return isJsonObject(value) ? { ...value, [key]: replaceAt(value[key] ?? null, rest, replacement) } : value;
}

function isViewOf(reference: OutputReference, plan: Plan, value: JsonObject): boolean {
  return (
    value['class'] === 'Dynflow::ExecutionPlan::OutputReference' &&
    value['execution_plan_id'] === plan.id &&
    value['step_id'] === reference.step &&
    value['action_id'] === reference.action &&
    JSON.stringify(value['subkeys']) === JSON.stringify(reference.subkeys)
  );
}
