import { startPostgres, type PostgresServer } from '@dynflow/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../open-database.js';
import { RELEASE_BEFORE, asBefore, recordedSession, withoutClock } from './statements.js';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

describe(`the statements of release ${RELEASE_BEFORE}`, () => {
  it('do on this schema of PostgreSQL what they did on theirs', async () => {
    const url = await server.createDatabase();
    await (await openDatabase({ url })).close();
    const client = new pg.Client(url);
    await client.connect();
    const session = recordedSession(RELEASE_BEFORE, 'postgres');
    const [seen, expected]: [unknown[], unknown[]] = [[], []];
    for (const { sql, values, rows } of session) {
      const { rows: found } = await client.query<Record<string, unknown>>(sql, values as unknown[]);
      if (rows !== undefined) {
        seen.push([sql, found.map((row, index) => withoutClock(asBefore(row, rows[index])))]);
        expected.push([sql, rows.map(withoutClock)]);
      }
    }
    expect(seen).toEqual(expected);
    expect(new Set(session.map(({ sql }) => sql)).size).toBeGreaterThan(25);
    await client.end();
  });
});
