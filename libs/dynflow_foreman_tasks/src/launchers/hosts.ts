import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';

/** One host's part of a launch, as Foreman sends it. */
export interface LaunchEntry {
  action_input: JsonObject;
  action_class?: string;
}

/** What a launch adds to the input of every job. */
export interface LaunchFacts {
  /** `proxy_url` of the first entry, or the address that the caller used. */
  callbackHost: string;
  requestId: string | null;
}

/**
 * The input of one job: what Foreman sent, plus what Foreman looks for later. `task_id` is how Foreman finds its action in a status
 * document: the id of its own task, or the plan's id for a job without callback.
 */
export function jobInput(actionInput: JsonObject, plan: string, facts: LaunchFacts): JsonObject {
  const callback = actionInput['callback'];
  const taskId = isJsonObject(callback) && typeof callback['task_id'] === 'string' ? callback['task_id'] : plan;
  return { ...actionInput, current_request_id: facts.requestId, callback_host: facts.callbackHost, task_id: taskId };
}

/** A sealed secret for each job of a batch, as the launcher hands them on: opaque to everything in between. */
export type SealedSecrets = Record<string, string>;

export function packSecrets(secrets: SealedSecrets): string | undefined {
  return Object.keys(secrets).length === 0 ? undefined : JSON.stringify(secrets);
}

export function unpackSecrets(packed: string | undefined): SealedSecrets {
  const parsed: JsonValue = packed === undefined ? {} : (JSON.parse(packed) as JsonValue);
  return isJsonObject(parsed) ? (parsed as SealedSecrets) : {};
}
