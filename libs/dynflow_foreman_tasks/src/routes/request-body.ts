import { InvalidInputError, isJsonObject, messageOf, type JsonObject, type JsonValue } from '@dynflow/kernel';

/** Thrown for a body that is no JSON at all. */
export class MalformedJsonError extends InvalidInputError {
  constructor(detail: string) {
    super('body', `the body is not JSON: ${detail}. Send a JSON object, in UTF-8.`);
  }
}

/** How deep a body may be nested. Nothing that Foreman sends comes near; beyond it a body is an attack. */
const MAX_DEPTH = 64;

/**
 * A request's body as an object, whatever its content type says: Foreman's clients do not always set one.
 *
 * @throws MalformedJsonError, InvalidInputError
 */
export function parseBody(body: string): JsonObject {
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(body) as JsonValue;
  } catch (error) {
    throw new MalformedJsonError(body === '' ? 'it is empty' : problemOf(error));
  }
  if (!isJsonObject(parsed)) {
    throw new InvalidInputError('body', `expected a JSON object, got ${kindOf(parsed)}`);
  }
  if (isDeeperThan(parsed, MAX_DEPTH)) {
    throw new InvalidInputError('body', `the body is nested more than ${MAX_DEPTH} levels deep`);
  }
  return parsed;
}

/** What the parser says, without the piece of the body that it quotes: a secret may stand there. */
function problemOf(error: unknown): string {
  return messageOf(error).replace(/, (\.\.\.)?".*$/s, '');
}

/** The object under `key`. @throws InvalidInputError naming the field. */
export function objectField(parent: JsonObject, key: string, at = ''): JsonObject {
  const value = parent[key];
  if (value === undefined || !isJsonObject(value)) {
    throw new InvalidInputError(`${at}${key}`, `${at}${key}: expected an object, got ${kindOf(value)}`);
  }
  return value;
}

/** The text under `key`. @throws InvalidInputError naming the field. */
export function textField(parent: JsonObject, key: string, at = ''): string {
  const value = parent[key];
  if (typeof value !== 'string' || value === '') {
    throw new InvalidInputError(`${at}${key}`, `${at}${key}: expected a non-empty string, got ${kindOf(value)}`);
  }
  return value;
}

/** The ids under `task_ids`; nulls are left out, since Foreman asks for parents of tasks that have none. */
export function taskIds(body: JsonObject): string[] {
  const ids = body['task_ids'] ?? [];
  if (!Array.isArray(ids)) {
    throw new InvalidInputError('task_ids', `task_ids: expected an array of task ids, got ${kindOf(ids)}`);
  }
  return ids.filter((id): id is string => typeof id === 'string');
}

/** What a value is, in words for an error message. Never the value itself: it may be a secret. */
export function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) {
    return 'nothing';
  }
  if (value === null) {
    return 'null';
  }
  return Array.isArray(value)
    ? 'an array'
    : typeof value === 'object'
      ? 'an object'
      : value === ''
        ? 'an empty string'
        : `a ${typeof value}`;
}

function isDeeperThan(value: JsonValue, depth: number): boolean {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  return depth === 0 || Object.values(value).some((item) => isDeeperThan(item, depth - 1));
}
