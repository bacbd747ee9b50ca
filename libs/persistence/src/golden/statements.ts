import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A statement that a release sent, with its values and the rows that it got. */
export interface RecordedStatement {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly rows?: readonly unknown[];
}

/** What the stores of an earlier release sent to its database in one session, in which each of their statements comes up. */
export function recordedSession(release: string, database: 'sqlite' | 'postgres'): RecordedStatement[] {
  const file = join(import.meta.dirname, `../../../../test/golden/statements/${release}/${database}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as RecordedStatement[];
}

/** The release before this one: its gateways run on this one's schema while an upgrade goes on, and after a downgrade. */
export const RELEASE_BEFORE = '0.1.0';

/** A row as the release before would see it: with what it asked for, in text where a clock or a counter made it. */
export function asBefore(row: unknown, recorded: unknown): unknown {
  if (typeof row !== 'object' || row === null || typeof recorded !== 'object' || recorded === null) {
    return row;
  }
  const known = Object.keys(recorded);
  return Object.fromEntries(Object.entries(row).filter(([column]) => known.includes(column)));
}

/** Columns whose values are the moment of the session. */
export const CLOCKED = new Set(['expires_at', 'expiresAtMs', 'kept_at']);

export function withoutClock(row: unknown): unknown {
  return typeof row === 'object' && row !== null
    ? Object.fromEntries(Object.entries(row).map(([column, value]) => [column, CLOCKED.has(column) ? 'a moment' : value]))
    : row;
}
