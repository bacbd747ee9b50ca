import { DynflowError } from '@dynflow/kernel';
import pg from 'pg';
import { QueryFailedError } from 'typeorm';
import { DuplicatePlanError, ShardLostError, StoreMismatchError, databaseUnavailable } from '../errors.js';
import { SHARDS_LOST } from './commit-statement.js';

/** SQLSTATE classes: a constraint is broken; a value does not fit, or a row was missing (see `commit-statement.ts`). */
const REFUSALS = /^(23|22)/;
const UNIQUE_VIOLATION = '23505';

/** What a failure of PostgreSQL means for the caller. Errors of this project pass as they are. */
export function postgresFailure(failure: unknown): DynflowError {
  const error: unknown = failure instanceof QueryFailedError ? failure.driverError : failure;
  if (error instanceof DynflowError) {
    return error;
  }
  if (error instanceof pg.DatabaseError && REFUSALS.test(error.code ?? '')) {
    return new StoreMismatchError(`the database refused a row: ${error.message}`, error);
  }
  // Unreachable, restarting, out of connections or disk, a deadlock: it may work when it is tried again.
  return databaseUnavailable(error);
}

/**
 * The same for a commit, where a key that exists may mean a plan that exists. Its parts are written in no particular order: what hits the
 * older plan first may be an action or a step.
 */
export function commitFailure(
  failure: unknown,
  newPlans: readonly { readonly id: string; readonly idempotencyKey: string | null }[],
): DynflowError {
  if (failure instanceof pg.DatabaseError && failure.code === UNIQUE_VIOLATION) {
    const plan = failure.constraint?.endsWith('_idempotency_key')
      ? newPlans.find(({ idempotencyKey }) => idempotencyKey !== null && failure.detail?.includes(`=(${idempotencyKey})`))?.id
      : /=\(([^,)]*)/.exec(failure.detail ?? '')?.[1];
    if (plan !== undefined && newPlans.some(({ id }) => id === plan)) {
      return new DuplicatePlanError(plan, failure);
    }
  }
  if (failure instanceof pg.DatabaseError && failure.message.includes(SHARDS_LOST)) {
    return new ShardLostError(failure);
  }
  return postgresFailure(failure);
}
