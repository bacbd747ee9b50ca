import { DynflowError, InvalidInputError, derivedUuid, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { PlanRequest } from './model.js';

/*
 * Launches with a word of the caller's: the same word is the same plan, and the same word for something else is a mistake of the
 * caller's. What was asked for is kept as a digest with the plan, for as long as the plan is kept.
 */

/** The longest key that all databases can index. */
const MAX_KEY_LENGTH = 255;

/** Thrown when a launch has the idempotency key of another one that asked for something else. */
export class IdempotencyConflictError extends DynflowError {
  constructor(key: string, plan: string) {
    super(
      'DYN_IDEMPOTENCY_CONFLICT',
      `the idempotency key "${key}" belongs to the plan ${plan}, which was launched with another action or input; use a new key`,
      { context: { key, plan } },
    );
  }
}

/** @throws InvalidInputError */
export function assertKey(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
    throw new InvalidInputError('idempotencyKey', `idempotencyKey: expected 1 to ${MAX_KEY_LENGTH} characters, got ${key.length}`);
  }
}

/** Digest of an action and its input, whatever the order of keys. Sealed secrets are not in it: they differ each time. */
export function fingerprintOf(action: string, input: JsonObject): string {
  return derivedUuid('idempotent launch', action, JSON.stringify(sorted(input)));
}

/** @throws IdempotencyConflictError unless the plan with the key was asked to be the same. */
export function assertSameLaunch(key: string, fingerprint: string, stored: { id: string; request: PlanRequest | null }): void {
  if (stored.request?.fingerprint !== fingerprint) {
    throw new IdempotencyConflictError(key, stored.id);
  }
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
