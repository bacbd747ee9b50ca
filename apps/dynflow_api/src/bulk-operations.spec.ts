import { InvalidInputError, UnavailableError } from '@dynflow/kernel';
import type { BulkProgress } from '@dynflow/plugin';
import { openDatabase, type Database } from '@dynflow/persistence';
import { changes, planRow } from '@dynflow/testing/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BulkOperations } from './bulk-operations.js';

let database: Database;
let told: string[];
let bulk: BulkOperations;

beforeEach(async () => {
  database = await openDatabase({ url: 'sqlite::memory:' });
  told = [];
  const tell = (verb: string) => (plan: string) => {
    if (plan.startsWith('refuses')) {
      return Promise.reject(new UnavailableError('DYN_PLAN_UNREAD', 'try again'));
    }
    told.push(`${verb} ${plan}`);
    return Promise.resolve();
  };
  bulk = new BulkOperations(
    { cancel: async (plan) => tell('cancel')(plan).then(() => (plan === 'over' ? null : 1)), resume: tell('resume') },
    database,
  );
});
afterEach(async () => {
  await database.close();
});

async function add(...plans: Parameters<typeof planRow>[0][]): Promise<void> {
  await database.plans.commit(changes({ newPlans: plans.map((plan) => planRow(plan)) }));
}

describe('a bulk operation', () => {
  it('tells beforehand what it would do, and does it by the same filter', async () => {
    await add(
      { id: 'a', label: 'x' },
      { id: 'b', label: 'x', state: 'paused', result: 'error' },
      { id: 'c', label: 'x', state: 'stopped', result: 'success' },
      { id: 'd', label: 'y' },
    );
    const preview = await bulk.cancelWhere({ label: 'x' }, { preview: true });

    expect(preview).toMatchObject({ isPreview: true, total: 2, done: 0 });
    expect(preview.counts).toEqual([
      { state: 'paused', result: 'error', count: 1 },
      { state: 'running', result: 'pending', count: 1 },
    ]);
    expect(preview.sample.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(told).toEqual([]);

    expect(await bulk.cancelWhere({ label: 'x' })).toMatchObject({ isPreview: false, total: 2, done: 2, refused: 0 });
    expect(told).toEqual(['cancel a', 'cancel b']);
  });

  it('resumes those that are paused, and no others', async () => {
    await add({ id: 'a' }, { id: 'b', state: 'paused' }, { id: 'c', state: 'paused', label: 'other' });
    expect(await bulk.resumeWhere({ state: ['paused', 'running'], label: 'example.Job' })).toMatchObject({ done: 1 });
    expect(told).toEqual(['resume b']);
    expect(await bulk.resumeWhere({ state: 'running' })).toMatchObject({ total: 0, done: 0 });
  });

  it('deletes those that have stopped', async () => {
    await add({ id: 'a' }, { id: 'b', state: 'stopped', endedAtMs: 1 }, { id: 'c', state: 'stopped', endedAtMs: 1, label: 'other' });
    expect(await bulk.deleteWhere({ label: 'example.Job' }, { preview: true })).toMatchObject({ total: 1, done: 0 });
    expect(await database.reader.count()).toBe(3);
    expect(await bulk.deleteWhere({ label: 'example.Job' })).toMatchObject({ total: 1, done: 1 });
    expect((await database.reader.list({ limit: 9, direction: 'ascending' })).map(({ id }) => id)).toEqual(['a', 'c']);
  });

  it('goes through many in slices and tells how far it is; what is made meanwhile is not meant', async () => {
    await add(...Array.from({ length: 250 }, (_, index) => ({ id: `p${index}` })));
    const progress: BulkProgress[] = [];
    const result = await bulk.cancelWhere(
      {},
      {
        onProgress: (step) => {
          progress.push(step);
          void add({ id: `new ${progress.length}` });
        },
      },
    );
    expect(progress.map(({ done, total }) => [done, total])).toEqual([
      [100, 250],
      [200, 250],
      [250, 250],
    ]);
    expect(result.done).toBe(250);
    expect(told).toHaveLength(250);
  });

  it('goes on after one that refuses, and says which and why', async () => {
    await add({ id: 'refuses 1' }, { id: 'over' }, { id: 'fine' });
    expect(await bulk.cancelWhere({})).toMatchObject({
      total: 3,
      done: 1,
      refused: 1,
      refusals: [{ plan: 'refuses 1', code: 'DYN_PLAN_UNREAD', message: 'try again' }],
    });
  });

  it('refuses a filter that there is not before it does anything', async () => {
    await add({ id: 'a' });
    await expect(bulk.cancelWhere({ stat: 'running' } as object)).rejects.toThrow(InvalidInputError);
    await expect(bulk.deleteWhere({ stat: 'running' } as object)).rejects.toThrow(InvalidInputError);
    await expect(bulk.select({ stat: 'running' } as object)).rejects.toThrow('stat: there is no such filter');
    expect(told).toEqual([]);
  });
});
