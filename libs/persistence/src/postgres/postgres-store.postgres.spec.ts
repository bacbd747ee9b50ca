import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { describeDurability, describeStore } from '@dynflow/testing/conformance';
import { afterAll, beforeAll } from 'vitest';
import { openDatabase } from '../open-database.js';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

describeStore('PostgreSQL', async () => {
  const database = await openDatabase({ url: await server.createDatabase() });
  return { database, dispose: async () => database.close() };
});

describeDurability('PostgreSQL', async () => {
  const url = await server.createDatabase();
  return { url, open: async () => openDatabase({ url }), dispose: async () => Promise.resolve() };
});
