import { looksSecret, withoutUrlSecrets } from '../config/redact.js';

export const redacted = '[hidden]';
const deepest = 8;

/**
 * A copy of what is to be logged in which values under secret names and credentials in URLs are hidden. Errors become objects
 * with code, message and stack. What is nested too deeply or refers to itself is cut.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return value.includes('://') ? withoutUrlSecrets(value) : value;
  }
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (depth >= deepest) {
    return '[…]';
  }
  if (Array.isArray(value)) {
    return value.map((item) => redact(item, depth + 1));
  }
  if (value instanceof Error) {
    return redactedError(value, depth);
  }
  if (value instanceof Date) {
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    return `[${value.byteLength} bytes]`;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, isSecretKey(key) && inner !== null ? redacted : redact(inner, depth + 1)]),
  );
}

function isSecretKey(key: string): boolean {
  return looksSecret(key) || /^(otp|authorization|cookie|set-cookie|private_?key)$/i.test(key);
}

function redactedError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause, ...facts } = error;
  const given = redact(facts, depth + 1) as Record<string, unknown>;
  return {
    type: name,
    message: redact(message),
    ...given,
    ...(error instanceof AggregateError ? { errors: redact(error.errors, depth + 1) } : {}),
    ...(cause === undefined ? {} : { cause: redact(cause, depth + 1) }),
    ...(stack === undefined ? {} : { stack: redact(stack) }),
  };
}
