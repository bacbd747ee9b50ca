import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { describeDurability, describeStore } from '@dynflow/testing/conformance';
import { afterAll, beforeAll } from 'vitest';
import { openDatabase } from '../open-database.js';

let server: PostgresServer;
/** A database with its tables made: copying it is quicker than making them for each test. */
let migrated: string;

beforeAll(async () => {
  server = await startPostgres();
  migrated = await server.createDatabase();
  await (await openDatabase({ url: migrated })).close();
});
afterAll(async () => {
  await server.stop();
});

describeStore('PostgreSQL', async () => {
  const database = await openDatabase({ url: await server.createDatabase(migrated) });
  return { database, dispose: async () => database.close() };
});

describeDurability('PostgreSQL', async () => {
  const url = await server.createDatabase();
  return { url, open: async () => openDatabase({ url }), dispose: async () => Promise.resolve() };
});
