import type { PluginDeclaration } from '@dynflow/contracts';
import { describe, expect, it } from 'vitest';
import { MOMENT, actionRow, changes, chunkRow, planRow, stepRow } from './rows.js';
import type { StoreWorld } from './store-world.js';

export function describeTables(world: () => StoreWorld): void {
  describe('documents', () => {
    it('are kept and counted by revision', async () => {
      const { documents } = world().database;
      expect(await documents.get('ssh', 'hosts', 'a')).toBeNull();

      expect(await documents.put('ssh', 'hosts', 'a', { key: 'ü\u0000', list: [1, null] })).toBe(true);
      expect(await documents.get('ssh', 'hosts', 'a')).toEqual({ key: 'a', document: { key: 'ü\u0000', list: [1, null] }, revision: 1 });
      expect(await documents.put('ssh', 'hosts', 'a', {})).toBe(true);
      expect(await documents.get('ssh', 'hosts', 'a')).toEqual({ key: 'a', document: {}, revision: 2 });

      await documents.delete('ssh', 'hosts', 'a');
      await documents.delete('ssh', 'hosts', 'a');
      expect(await documents.get('ssh', 'hosts', 'a')).toBeNull();
    });

    it('belong to a plugin and a collection', async () => {
      const { documents } = world().database;
      await documents.put('ssh', 'hosts', 'a', { of: 'ssh' }, { index: 'x' });

      expect(await documents.get('salt', 'hosts', 'a')).toBeNull();
      expect(await documents.get('ssh', 'jobs', 'a')).toBeNull();
      expect(await documents.find('salt', 'hosts', 'x')).toEqual([]);
      await documents.delete('salt', 'hosts', 'a');
      expect(await documents.get('ssh', 'hosts', 'a')).not.toBeNull();
    });

    it('are put only at the revision that is asked for', async () => {
      const { documents } = world().database;
      const put = async (n: number, ifRevision: number): Promise<boolean> => documents.put('ssh', 'hosts', 'a', { n }, { ifRevision });

      expect(await put(1, 1)).toBe(false);
      expect(await put(2, 0)).toBe(true);
      expect(await put(3, 0)).toBe(false);
      expect(await put(4, 2)).toBe(false);
      expect(await put(5, 1)).toBe(true);
      expect(await documents.get('ssh', 'hosts', 'a')).toEqual({ key: 'a', document: { n: 5 }, revision: 2 });
    });

    it('let one of many writers of the same revision win', async () => {
      const { documents } = world().database;
      const won = await Promise.all(
        Array.from({ length: 10 }, async (_, n) => documents.put('ssh', 'hosts', 'a', { n }, { ifRevision: 0 })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await documents.get('ssh', 'hosts', 'a'))?.document).toEqual({ n: won.indexOf(true) });
    });

    it('are found by the index word of their last put', async () => {
      const { documents } = world().database;
      await documents.put('ssh', 'jobs', 'b', { n: 1 }, { index: 'host-1' });
      await documents.put('ssh', 'jobs', 'a', { n: 2 }, { index: 'host-1' });
      await documents.put('ssh', 'jobs', 'c', { n: 3 }, { index: 'host-2' });
      await documents.put('ssh', 'jobs', 'd', { n: 4 });

      expect(await documents.find('ssh', 'jobs', 'host-1')).toEqual([
        { key: 'a', document: { n: 2 }, revision: 1 },
        { key: 'b', document: { n: 1 }, revision: 1 },
      ]);
      await documents.put('ssh', 'jobs', 'a', { n: 2 });
      await documents.put('ssh', 'jobs', 'c', { n: 3 }, { index: 'host-1', ifRevision: 1 });
      expect((await documents.find('ssh', 'jobs', 'host-1')).map(({ key }) => key)).toEqual(['b', 'c']);
    });
  });

  describe('manifests', () => {
    const declaration = (pluginVersion: string, plugin = 'example'): PluginDeclaration => ({
      plugin,
      pluginVersion,
      actions: [],
      operations: [],
      features: [],
      routes: [],
      aliases: {},
    });

    it('are kept by plugin and version, the last one first', async () => {
      const { manifests } = world().database;
      expect(await manifests.all()).toEqual([]);
      await manifests.keep(declaration('1'));
      await manifests.keep({ ...declaration('1'), aliases: { Old: 'example.New' } });

      expect(await manifests.all()).toEqual([{ ...declaration('1'), aliases: { Old: 'example.New' } }]);

      await manifests.keep(declaration('1', 'other'));
      await manifests.forget('example');
      expect(await manifests.all()).toEqual([declaration('1', 'other')]);
    });
  });

  describe('shards', () => {
    it('have one owner, whose epoch nobody else has had', async () => {
      const { shards, isShared } = world().database;
      const count = isShared ? 16 : 1;
      expect((await shards.all()).map(({ owner, epoch }) => ({ owner, epoch }))).toEqual(
        Array.from({ length: count }, () => ({ owner: null, epoch: 0 })),
      );

      const taken = await shards.take('one', { leaseMs: 60_000, limit: 100 });
      expect(taken).toEqual(Array.from({ length: count }, (_, id) => ({ id, epoch: 1 })));
      expect(await shards.take('one', { leaseMs: 60_000, limit: 100 })).toEqual([]);
      expect(await shards.renew('one', taken, 60_000)).toEqual(taken);
      expect(await shards.renew('two', taken, 60_000)).toEqual([]);

      await shards.release('two');
      expect((await shards.all()).every(({ owner }) => owner === 'one')).toBe(true);
      await shards.release('one');
      expect(await shards.renew('one', taken, 60_000)).toEqual([]);
      expect(await shards.take('two', { leaseMs: 60_000, limit: 1 })).toEqual([{ id: 0, epoch: 2 }]);
    });

    it('are given back one by one, and those whose lease is over can be left alone', async () => {
      const { shards, isShared } = world().database;
      const count = (await shards.all()).length;
      await shards.take('one', { leaseMs: -1, limit: count });
      const free = { leaseMs: 60_000, limit: count, onlyFree: true };
      expect(await shards.take('two', free)).toHaveLength(isShared ? 0 : count);
      const [owner] = (await shards.all()).map((shard) => shard.owner ?? '');
      await shards.giveBack(owner ?? '', [0]);
      expect((await shards.all())[0]).toMatchObject({ id: 0, owner: null });
      expect(shards.held.some(({ id, owner: holder }) => id === 0 && holder === owner)).toBe(false);
      expect(await shards.take('three', { ...free, limit: 1 })).toMatchObject([{ id: 0 }]);
    });

    it('stay with an owner whose lease is over until somebody takes them', async () => {
      const { shards } = world().database;
      const [taken] = await shards.take('one', { leaseMs: -1, limit: 1 });
      expect(taken).toEqual({ id: 0, epoch: 1 });
      expect(await shards.renew('one', [{ id: 0, epoch: 1 }], -1)).toEqual([{ id: 0, epoch: 1 }]);

      expect(await shards.take('two', { leaseMs: 60_000, limit: 1 })).toEqual([{ id: 0, epoch: 2 }]);
      expect(await shards.renew('one', [{ id: 0, epoch: 1 }], 60_000)).toEqual([]);
      expect(await shards.renew('two', [{ id: 0, epoch: 1 }], 60_000)).toEqual([]);
      const [lease] = await shards.all();
      expect(lease).toEqual({ id: 0, owner: 'two', epoch: 2, expiresAtMs: expect.any(Number) });
      expect(Math.abs((lease?.expiresAtMs ?? 0) - 60_000 - Date.now())).toBeLessThan(30_000);
    });
  });

  describe('purgeFinished', () => {
    it('deletes the oldest stopped plans with all that is theirs, and no others', async () => {
      const { database } = world();
      const { plans, reader } = database;
      const stopped = Array.from({ length: 250 }, (_, index) => planRow({ state: 'stopped', endedAtMs: MOMENT + index }));
      const others = [
        planRow({ state: 'stopped', endedAtMs: MOMENT + 10_000 }),
        planRow({ state: 'paused', endedAtMs: MOMENT }),
        planRow({ state: 'running' }),
      ];
      const all = [...stopped, ...others];
      await plans.commit(
        changes({
          newPlans: all,
          newActions: all.map(({ id }) => actionRow(id)),
          newSteps: all.map(({ id }) => stepRow(id)),
          chunks: all.map(({ id }) => chunkRow(id)),
        }),
      );

      expect(await database.purgeFinished({ olderThanMs: MOMENT + 1_000, limit: 120 })).toBe(120);
      expect([...(await plans.existing(stopped.map(({ id }) => id)))].sort()).toEqual(
        stopped
          .slice(120)
          .map(({ id }) => id)
          .sort(),
      );
      expect(await database.purgeFinished({ olderThanMs: MOMENT + 1_000, limit: 500 })).toBe(130);
      expect(await database.purgeFinished({ olderThanMs: MOMENT + 1_000, limit: 500 })).toBe(0);

      expect(await reader.count()).toBe(3);
      // Nothing of the deleted is left behind: the same ids can be used anew.
      const again = stopped[0]?.id ?? '';
      await plans.commit(changes({ newPlans: [planRow({ id: again })], newActions: [actionRow(again)], newSteps: [stepRow(again)] }));
      expect(await plans.chunks(again, 1)).toEqual([]);
      expect((await plans.load(again))?.actions).toHaveLength(1);
      for (const { id } of others) {
        expect(await plans.chunks(id, 1)).toHaveLength(1);
      }
    });

    it('keeps the sub-plans of a plan that has not stopped', async () => {
      const { database } = world();
      const ended = { state: 'stopped', endedAtMs: MOMENT } as const;
      const running = planRow();
      const done = planRow({ ...ended, endedAtMs: MOMENT + 1 });
      const children = [running.id, done.id, 'gone'].map((callerPlan) => planRow({ ...ended, callerPlan, callerAction: 1 }));
      await database.plans.commit(changes({ newPlans: [running, done, ...children] }));

      expect(await database.purgeFinished({ olderThanMs: MOMENT + 100, limit: 100 })).toBe(3);
      expect(await database.plans.existing(children.map(({ id }) => id))).toEqual(new Set([children[0]?.id]));
    });
  });
}
