import type { Database, Statement } from 'better-sqlite3';
import type { Sql, SqlValue } from '../tables/sql.js';
import { sqliteFailure } from './sqlite-errors.js';

/** Runs statements on SQLite; each is prepared once. */
export function sqliteSql(database: Database): Sql {
  const prepared = new WeakMap<TemplateStringsArray, Statement<[SqlValue[]]>>();
  database.function('now_ms', { deterministic: false }, () => Date.now());
  return async <Row>(statement: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]> => {
    try {
      const known = prepared.get(statement) ?? database.prepare<[SqlValue[]]>(statement.join('?'));
      prepared.set(statement, known);
      return await Promise.resolve(known.all(values) as Row[]);
    } catch (error) {
      throw sqliteFailure(error);
    }
  };
}
