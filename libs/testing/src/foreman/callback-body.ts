import { isJsonObject } from '@dynflow/kernel';
import type { JsonObject, JsonValue } from '@dynflow/kernel';

/** One host's share of a callback. `data` is the output of the action that ran there. */
export interface CallbackEntry {
  /** The task at Foreman that waits, and the step of its that is told. */
  readonly taskId: string;
  readonly stepId: number;
  readonly data: JsonObject;
}

/** Either the entries of a callback or what Foreman would answer to a body that it cannot use. */
export type ParsedCallback =
  | { readonly kind: 'entries'; readonly isBatch: boolean; readonly entries: readonly CallbackEntry[] }
  | { readonly kind: 'refused'; readonly status: 400 | 500; readonly reason: string };

/**
 * Reads `{callback, data}` or `{callbacks: [{callback, data}, …]}`. One bad entry refuses the whole request, as at Foreman,
 * where `data: null` is a server error.
 */
export function parseCallback(body: JsonValue | undefined): ParsedCallback {
  if (!isJsonObject(body)) {
    return { kind: 'refused', status: 400, reason: 'the body is not a JSON object' };
  }
  const isBatch = body['callbacks'] !== undefined;
  const given = isBatch ? body['callbacks'] : [body];
  if (!Array.isArray(given)) {
    return { kind: 'refused', status: 400, reason: 'callbacks: expected an array' };
  }
  const entries: CallbackEntry[] = [];
  for (const [index, item] of given.entries()) {
    const entry = parseEntry(item);
    if (typeof entry === 'string') {
      return { kind: 'refused', status: 500, reason: isBatch ? `callbacks[${index}].${entry}` : entry };
    }
    entries.push(entry);
  }
  return { kind: 'entries', isBatch, entries };
}

function parseEntry(item: JsonValue): CallbackEntry | string {
  if (!isJsonObject(item) || !isJsonObject(item['callback'])) {
    return 'callback: expected an object';
  }
  const { task_id: taskId, step_id: stepId } = item['callback'];
  if (typeof taskId !== 'string' || taskId === '') {
    return 'callback.task_id: expected a non-empty string';
  }
  if (typeof stepId !== 'number' || !Number.isInteger(stepId)) {
    return 'callback.step_id: expected an integer';
  }
  return isJsonObject(item['data']) ? { taskId, stepId, data: item['data'] } : 'data: expected an object';
}
