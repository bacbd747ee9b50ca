import type { JsonObject } from './json.js';

/** Facts that belong to an error, for logs and answers. Never a secret. */
export interface DynflowErrorOptions {
  /** True when the same request may succeed later without a change. */
  retryable?: boolean;
  context?: JsonObject;
  cause?: unknown;
}

/**
 * The base of every error that this project throws on purpose.
 *
 * `code` is stable (`DYN_…`), listed in `docs/errors.md`, and safe to match on; `message` is for people and says what to do.
 */
export class DynflowError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly context: JsonObject;

  constructor(code: string, message: string, options: DynflowErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.context = options.context ?? {};
  }
}

/** Thrown when input does not fit: `field` names the place (`input.action_input.script`), the message what was expected there. */
export class InvalidInputError extends DynflowError {
  readonly field: string;

  constructor(field: string, message: string, options: DynflowErrorOptions = {}) {
    super('DYN_INVALID_INPUT', message, { ...options, context: { ...options.context, field } });
    this.field = field;
  }
}

/** Thrown when something that was asked for by its name or id does not exist. */
export class NotFoundError extends DynflowError {
  constructor(code: string, message: string, options: DynflowErrorOptions = {}) {
    super(code, message, options);
  }
}

/** Thrown when the service cannot do it now but may later: database away, executor away, shutting down. */
export class UnavailableError extends DynflowError {
  constructor(code: string, message: string, options: DynflowErrorOptions = {}) {
    super(code, message, { retryable: true, ...options });
  }
}

/** The text of whatever was thrown; never a stack trace. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
