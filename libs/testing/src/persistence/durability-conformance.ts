import type { Database } from '@dynflow/persistence';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startFromSource } from '../process/source-process.js';
import { changes, chunkRow, smallPlan } from './rows.js';

export interface DurableWorld {
  readonly url: string;
  /** Opens the database at `url`, after whoever had it open is gone. */
  open(): Promise<Database>;
  dispose(): Promise<void>;
}

const KILLS = 2;
const TIMEOUT_MS = 60_000;

/** What a database must still hold after its user was killed. */
export function describeDurability(name: string, makeWorld: () => Promise<DurableWorld>): void {
  describe(name, () => {
    it(
      'has everything after it was closed and opened again, and goes on counting',
      async () => {
        const world = await makeWorld();
        try {
          const first = smallPlan();
          const before = await world.open();
          await before.plans.commit(first.changes);
          await before.plans.commit(changes({ chunks: [chunkRow(first.id)] }));
          await before.documents.put('example', 'things', 'a', { n: 1 });
          const shards = await before.shards.take('one', { leaseMs: 60_000, limit: 1 });
          const views = await before.reader.plans([first.id]);
          await before.close();

          const after = await world.open();
          expect(await after.reader.plans([first.id])).toEqual(views);
          expect(await after.documents.get('example', 'things', 'a')).toEqual({ key: 'a', document: { n: 1 }, revision: 1 });
          expect(await after.shards.renew('one', shards, 60_000)).toEqual(shards);
          const second = smallPlan();
          await after.plans.commit(second.changes);
          expect((await after.reader.list({ limit: 9 })).map(({ id }) => id)).toEqual([second.id, first.id]);
          await after.close();
        } finally {
          await world.dispose();
        }
      },
      TIMEOUT_MS,
    );

    it(
      'has every acknowledged commit and no half one after kill -9 of the writer',
      async () => {
        const world = await makeWorld();
        try {
          const acknowledged: string[] = [];
          for (let round = 0; round < KILLS; round += 1) {
            const writer = startFromSource(fileURLToPath(new URL('./commit-until-killed.ts', import.meta.url)), [world.url]);
            await writer.untilLines(20 + round);
            await writer.kill('SIGKILL');
            acknowledged.push(...writer.lines.flatMap((line) => line.split(' ')));
            await expectWhole(await world.open(), acknowledged);
          }
        } finally {
          await world.dispose();
        }
      },
      TIMEOUT_MS,
    );
  });
}

async function expectWhole(database: Database, acknowledged: readonly string[]): Promise<void> {
  try {
    const found = await database.reader.list({ limit: 1_000_000 });
    const ids = found.map(({ id }) => id);
    const known = new Set(ids);
    expect(acknowledged.filter((id) => !known.has(id))).toEqual([]);
    const views = await database.reader.plans(ids);
    const broken = views.filter(({ state, actions, steps }) => {
      const output = actions[2]?.output['result'];
      const isWhole = actions.length === 3 && steps.length === 3 && steps.every((step) => step.state === steps[0]?.state);
      const isEnded = state === 'stopped' && steps[0]?.state === 'success' && Array.isArray(output) && output.length === 1;
      const isOpen = state === 'running' && steps[0]?.state === 'pending' && Array.isArray(output) && output.length === 0;
      return !isWhole || !(isEnded || isOpen);
    });
    expect(broken).toEqual([]);
    expect(views).toHaveLength(ids.length);
  } finally {
    await database.close();
  }
}
