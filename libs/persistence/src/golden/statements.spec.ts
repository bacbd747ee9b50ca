import type { Statement } from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrations } from '../migrations/migrations.js';
import { connectSqlite, type SqliteConnection } from '../sqlite/open-sqlite.js';
import { sqliteSql } from '../sqlite/sqlite-sql.js';
import { RELEASE_BEFORE, asBefore, recordedSession, withoutClock } from './statements.js';

/* Expand and contract: gateways of two releases share a database during an upgrade, and a downgrade by one release works. */

let connection: SqliteConnection;

beforeEach(async () => {
  connection = await connectSqlite(null, () => undefined);
});
afterEach(async () => {
  await connection.close();
});

describe(`the statements of release ${RELEASE_BEFORE}`, () => {
  it('do on this schema of SQLite what they did on theirs', () => {
    const { driver } = connection;
    // Defines now_ms(), which belongs to the connection and not to the schema.
    sqliteSql(driver);
    const session = recordedSession(RELEASE_BEFORE, 'sqlite');
    const prepared = new Map<string, Statement<unknown[]>>();
    const [seen, expected]: [unknown[], unknown[]] = [[], []];
    for (const { sql, values, rows } of session) {
      const statement = prepared.get(sql) ?? driver.prepare<unknown[]>(sql);
      prepared.set(sql, statement);
      if (!statement.reader) {
        statement.run(...values);
        continue;
      }
      const found = statement.all(...values);
      if (rows !== undefined && typeof rows[0] === 'object') {
        seen.push([sql, found.map((row, index) => withoutClock(asBefore(row, rows[index])))]);
        expected.push([sql, rows.map(withoutClock)]);
      }
    }
    expect(seen).toEqual(expected);
    expect(new Set(session.map(({ sql }) => sql)).size).toBeGreaterThan(35);
  });
});

describe('a migration', () => {
  /** What a schema consists of: a column with all that is said of it, by table and name. */
  const columnsOf = (): Map<string, { type: string; notnull: number; dflt_value: string | null }> => {
    const rows = connection.driver
      .prepare<[], { table: string; name: string; type: string; notnull: number; dflt_value: string | null }>(
        'SELECT m.name AS \'table\', c.name, c.type, c."notnull", c.dflt_value FROM sqlite_master AS m ' +
          "JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name LIKE 'dynflow_%'",
      )
      .all();
    return new Map(rows.map(({ table, name, ...rest }) => [`${table}.${name}`, rest]));
  };
  const uniqueOf = (): string[] =>
    connection.driver
      .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%' ORDER BY name")
      .pluck()
      .all();

  it('only adds: no column goes or changes, and what is new in an old table may be left out by those who do not know it', async () => {
    for (let undone = 1; undone < migrations.length; undone += 1) {
      await connection.source.undoLastMigration();
    }
    for (let applied = 1; applied < migrations.length; applied += 1) {
      const before = columnsOf();
      const tables = new Set([...before.keys()].map((column) => column.split('.')[0]));
      const unique = uniqueOf();
      await connection.source.runMigrations({ transaction: 'each' });
      const after = columnsOf();

      expect(new Map([...after].filter(([column]) => before.has(column)))).toEqual(before);
      const demanding = [...after].filter(
        ([column, { notnull, dflt_value }]) =>
          !before.has(column) && tables.has(column.split('.')[0]) && notnull === 1 && dflt_value === null,
      );
      expect(demanding).toEqual([]);
      // A new uniqueness of old columns would refuse what the release before writes.
      const added = uniqueOf().filter((name) => !unique.includes(name));
      const onOld = added.filter((name) =>
        connection.driver
          .prepare<[string], string>(
            "SELECT m.tbl_name || '.' || i.name FROM sqlite_master AS m, pragma_index_info(m.name) AS i WHERE m.name = ?",
          )
          .pluck()
          .all(name)
          .every((column) => before.has(column)),
      );
      expect(onOld).toEqual([]);
    }
    expect(migrations.length).toBeGreaterThan(1);
  });
});
