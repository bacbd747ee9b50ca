import { UnavailableError } from '@dynflow/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeCommits } from './commit-conformance.js';
import { describeReading } from './reader-conformance.js';
import { describeRecentRuns } from './recent-runs-conformance.js';
import { changes, smallPlan } from './rows.js';
import { describeSearch } from './search-conformance.js';
import { describeTables } from './tables-conformance.js';
import type { StoreWorld, StoreWorldFactory } from './store-world.js';

/** What every database must do for the engine and the gateway: one suite, run over each. */
export function describeStore(name: string, makeWorld: StoreWorldFactory): void {
  describe(name, () => {
    let world: StoreWorld;

    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(async () => {
      await world.dispose();
    });

    const current = (): StoreWorld => world;
    describeCommits(current);
    describeReading(current);
    describeRecentRuns(current);
    describeSearch(current);
    describeTables(current);

    describe('close', () => {
      it('refuses every call afterwards, and a second close is nothing', async () => {
        const { database } = world;
        await database.check();
        await database.close();
        await database.close();

        await expect(database.check()).rejects.toThrow(UnavailableError);
        await expect((async () => database.plans.commit(smallPlan().changes))()).rejects.toThrow(UnavailableError);
        await expect((async () => database.plans.commit(changes({})))()).rejects.toThrow(UnavailableError);
        await expect((async () => database.plans.load('x'))()).rejects.toThrow(UnavailableError);
        await expect(database.reader.plans(['x'])).rejects.toThrow(UnavailableError);
        await expect(database.reader.list({ limit: 1 })).rejects.toThrow(UnavailableError);
        await expect(database.documents.get('a', 'b', 'c')).rejects.toThrow(UnavailableError);
        await expect(database.purgeFinished({ olderThanMs: 0, limit: 1 })).rejects.toThrow(UnavailableError);
      });
    });
  });
}
