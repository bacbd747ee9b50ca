import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { describeDynflowPersistence } from '@dynflow/testing/conformance';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openDatabase } from '../open-database.js';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

describeDynflowPersistence('PostgreSQL', async () => {
  const archiveDir = await mkdtemp(join(tmpdir(), 'dynflow-archive-'));
  const database = await openDatabase({ url: await server.createDatabase(), archiveDir });
  return {
    database,
    archiveDir,
    dispose: async () => {
      await database.close();
      await rm(archiveDir, { recursive: true });
    },
  };
});
