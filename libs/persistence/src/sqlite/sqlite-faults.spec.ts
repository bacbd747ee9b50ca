import { UnavailableError } from '@dynflow/kernel';
import { changes, chunkRow, describeDurability, planRow, smallPlan, stepRow } from '@dynflow/testing/conformance';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../open-database.js';
import { connectSqlite, type SqliteConnection } from './open-sqlite.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';

describeDurability('SQLite file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dynflow-kill-'));
  const url = `sqlite:${directory}/dynflow.db`;
  return { url, open: async () => openDatabase({ url }), dispose: async () => rm(directory, { recursive: true }) };
});

describe('a database that fails', () => {
  let directory: string;
  let connection: SqliteConnection;
  let store: SqlitePlanStore;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dynflow-full-'));
    connection = await connectSqlite(join(directory, 'dynflow.db'), () => undefined);
    store = new SqlitePlanStore(connection.driver);
  });
  afterEach(async () => {
    await connection.close();
    await rm(directory, { recursive: true });
  });

  const expectUnavailable = (commit: () => void): void => {
    expect(commit).toThrow(UnavailableError);
    expect(commit).toThrow(expect.objectContaining({ code: 'DYN_DATABASE_UNAVAILABLE', retryable: true }));
  };

  it('writes nothing of a commit for which there is no room, and all of it when there is', () => {
    const before = smallPlan();
    store.commit(before.changes);
    const pages = connection.driver.pragma('page_count', { simple: true }) as number;
    connection.driver.pragma(`max_page_count = ${pages + 5}`);
    const made = smallPlan();
    const commit = (): void =>
      store.commit({
        ...made.changes,
        plans: [planRow({ id: before.id, state: 'stopped' })],
        steps: [stepRow(before.id, { state: 'success' })],
        chunks: [chunkRow(before.id), chunkRow(before.id, { text: 'x'.repeat(100_000) })],
      });

    expectUnavailable(commit);

    expect(store.load(made.id)).toBeNull();
    expect(store.load(before.id)?.plan.state).toBe('running');
    expect(store.chunks(before.id, 1)).toEqual([]);
    store.commit(changes({ plans: [planRow({ id: before.id, state: 'paused' })] }));
    expect(store.load(before.id)?.plan.state).toBe('paused');

    connection.driver.pragma('max_page_count = 1000000');
    commit();
    expect(store.load(before.id)?.plan.state).toBe('stopped');
    expect(store.load(made.id)?.steps).toHaveLength(1);
    expect(store.chunks(before.id, 1)).toHaveLength(2);
  });

  it('says so when it may not be written', () => {
    connection.driver.pragma('query_only = ON');
    const { id, changes: made } = smallPlan();
    expectUnavailable(() => store.commit(made));
    expect(store.load(id)).toBeNull();
    connection.driver.pragma('query_only = OFF');
    store.commit(made);
    expect(store.load(id)).not.toBeNull();
  });

  it('says so when it is damaged', () => {
    connection.driver.exec('DROP TABLE dynflow_steps');
    expectUnavailable(() => void store.load('x'));
    expectUnavailable(() => store.commit(smallPlan().changes));
    expect(store.existing(['x'])).toEqual(new Set());
  });
});
