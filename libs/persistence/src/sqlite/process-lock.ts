import Database from 'better-sqlite3';
import { chmodSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseInUseError, databaseUnavailable } from '../errors.js';

/**
 * Keeps other processes away from a database file. It is an open write transaction on a tiny database of its own, `<file>.lock`: a lock
 * of the operating system, which ends with the process however that ends, so that nothing stale is ever left behind. The database itself
 * stays open to readers such as `sqlite3` and to backups.
 *
 * @returns what releases it.
 * @throws DatabaseInUseError that names the holder.
 */
export function lockForThisProcess(file: string): () => void {
  const lock = open(`${file}.lock`);
  try {
    begin(lock, file);
    lock.exec('CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL, host TEXT NOT NULL); DELETE FROM holder');
    lock.prepare('INSERT INTO holder (pid, host) VALUES (?, ?)').run(process.pid, hostname());
    lock.exec('COMMIT');
    // A reserved lock: others can still read who holds it.
    begin(lock, file);
  } catch (error) {
    lock.close();
    throw error;
  }
  return () => lock.close();
}

function open(file: string): Database.Database {
  try {
    const lock = new Database(file, { timeout: 0 });
    chmodSync(file, 0o600);
    return lock;
  } catch (error) {
    throw databaseUnavailable(error);
  }
}

function begin(lock: Database.Database, file: string): void {
  try {
    lock.exec('BEGIN IMMEDIATE');
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new DatabaseInUseError(file, holderOf(lock), error);
    }
    throw databaseUnavailable(error);
  }
}

function holderOf(lock: Database.Database): string {
  try {
    const holder = lock.prepare<[], { pid: number; host: string }>('SELECT pid, host FROM holder').get();
    return holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  } catch {
    // It is being written this moment.
    return 'another process';
  }
}
