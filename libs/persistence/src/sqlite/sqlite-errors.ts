import Database from 'better-sqlite3';
import { QueryFailedError } from 'typeorm';
import { DynflowError } from '@dynflow/kernel';
import { StoreMismatchError, databaseUnavailable } from '../errors.js';

/** What a failure of SQLite means for the caller. Errors of this project pass as they are. */
export function sqliteFailure(failure: unknown): DynflowError {
  const error: unknown = failure instanceof QueryFailedError ? failure.driverError : failure;
  if (error instanceof DynflowError) {
    return error;
  }
  if (error instanceof Database.SqliteError && (error.code.startsWith('SQLITE_CONSTRAINT') || error.code === 'SQLITE_MISMATCH')) {
    return new StoreMismatchError(`the database refused a row: ${error.message}`, error);
  }
  // Full, I/O, locked, corrupt or read-only; or the connection is closed, which better-sqlite3 tells with a TypeError.
  return databaseUnavailable(error);
}

export function isUniqueViolation(error: unknown): boolean {
  return (
    error instanceof Database.SqliteError && (error.code === 'SQLITE_CONSTRAINT_UNIQUE' || error.code === 'SQLITE_CONSTRAINT_PRIMARYKEY')
  );
}
