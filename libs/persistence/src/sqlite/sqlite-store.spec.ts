import { describeStore } from '@dynflow/testing/conformance';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../open-database.js';

describeStore('SQLite in memory', async () => {
  const database = await openDatabase({ url: 'sqlite::memory:' });
  return { database, dispose: async () => database.close() };
});

describeStore('SQLite file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dynflow-sqlite-'));
  const database = await openDatabase({ url: `sqlite:${directory}/dynflow.db` });
  return {
    database,
    dispose: async () => {
      await database.close();
      await rm(directory, { recursive: true });
    },
  };
});
