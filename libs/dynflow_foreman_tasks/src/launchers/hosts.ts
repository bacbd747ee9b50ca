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
 * document: the id of its own task. Nobody looks for a job without callback.
 */
export function jobInput(actionInput: JsonObject, facts: LaunchFacts): JsonObject {
  const { callback } = actionInput;
  const task = isJsonObject(callback) ? callback['task_id'] : undefined;
  return {
    ...actionInput,
    current_request_id: facts.requestId,
    callback_host: facts.callbackHost,
    ...(typeof task === 'string' ? { task_id: task } : {}),
  };
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
