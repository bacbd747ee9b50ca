import { DynflowError, UnavailableError, messageOf } from '@dynflow/kernel';

/** Thrown by a commit that would make a plan whose id, or whose idempotency key, is there already. Nothing of that commit was written. */
export class DuplicatePlanError extends DynflowError {
  constructor(plan: string, cause: unknown) {
    super('DYN_DUPLICATE_PLAN', `a plan with the id ${plan}, or with its idempotency key, exists already`, { cause, context: { plan } });
  }
}

/** Thrown when the database holds something else than its user believes: a row to be changed is not there, a constraint is broken. */
export class StoreMismatchError extends DynflowError {
  constructor(message: string, cause?: unknown) {
    super('DYN_DATABASE_MISMATCH', message, { cause });
  }
}

/** Thrown when another process has the database file open: an SQLite file belongs to one gateway at a time. */
export class DatabaseInUseError extends DynflowError {
  constructor(file: string, holder: string, cause: unknown) {
    super(
      'DYN_DATABASE_IN_USE',
      `${file} is in use by ${holder}: an SQLite file serves one gateway at a time; stop the other one, give this one a file of its own, ` +
        'or use PostgreSQL',
      { cause, context: { file, holder } },
    );
  }
}

/**
 * Thrown by a commit after another gateway has taken one of the committer's shards: its lease was over. Nothing of the commit was
 * written. The plans of that shard are the other gateway's now.
 */
export class ShardLostError extends DynflowError {
  constructor(cause: unknown) {
    super('DYN_SHARD_LOST', 'another gateway has taken over plans of this one, whose lease was over', { cause });
  }
}

/** The database cannot be used now: full, unreadable, locked, closed or unreachable. */
export function databaseUnavailable(cause: unknown): UnavailableError {
  return new UnavailableError('DYN_DATABASE_UNAVAILABLE', `the database cannot be used: ${messageOf(cause)}`, { cause });
}
