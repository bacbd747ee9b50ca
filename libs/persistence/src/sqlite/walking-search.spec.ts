import { describeSearch, type StoreWorld } from '@dynflow/testing/conformance';
import { afterEach, beforeEach, describe } from 'vitest';
import { openDatabase } from '../open-database.js';
import { connectSqlite, type SqliteConnection } from './open-sqlite.js';
import { SqlitePlanReader } from './sqlite-plan-reader.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';

/* How a list is read where a filter leaves many plans: with few plans in the tests, by another idea of many. */
describe('SQLite, where five plans are many', () => {
  let connection: SqliteConnection;
  let world: StoreWorld;

  beforeEach(async () => {
    const database = await openDatabase({ url: 'sqlite::memory:' });
    connection = await connectSqlite(null, () => undefined);
    const { driver } = connection;
    world = {
      database: { ...database, plans: new SqlitePlanStore(driver), reader: new SqlitePlanReader(driver, 5) },
      dispose: async () => database.close(),
    };
  });
  afterEach(async () => {
    await world.dispose();
    await connection.close();
  });

  describeSearch(() => world);
});
