import { describeDynflowPersistence } from '@dynflow/testing/conformance';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../open-database.js';

describeDynflowPersistence('SQLite', async () => {
  const archiveDir = await mkdtemp(join(tmpdir(), 'dynflow-archive-'));
  const database = await openDatabase({ url: 'sqlite::memory:', archiveDir });
  return {
    database,
    archiveDir,
    dispose: async () => {
      await database.close();
      await rm(archiveDir, { recursive: true });
    },
  };
});
