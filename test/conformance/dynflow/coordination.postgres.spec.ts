import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '@dynflow/persistence';
import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { startGatewayLab } from './gateway-lab.js';
import { present } from './stories.js';

/** Leases and records in a database that several gateways share. */

let server: PostgresServer;
let directory: string;
let migrated: string;
let url: string;
let one: Database;
let two: Database;

/** Settings of a gateway on this database. Without NATS it is the only one that works there; any other stands by. */
const settings = (database: string): Record<string, string> => ({
  DYNFLOW_DATABASE_URL: database,
  DYNFLOW_SECRET_KEYS_FILE: join(directory, 'keys.json'),
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  server = await startPostgres();
  migrated = await server.createDatabase();
  await (await openDatabase({ url: migrated })).close();
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

const LEASE = { leaseMs: 60_000, limit: 100 };

describe('leases of gateways', () => {
  beforeEach(async () => {
    url = await server.createDatabase(migrated);
    one = await openDatabase({ url });
    two = await openDatabase({ url });
  });
  afterEach(async () => {
    await one.close();
    await two.close();
  });
  const ownersOf = async (): Promise<(string | null)[]> => [...new Set((await two.shards.all()).map(({ owner }) => owner))];

  it('CO1: are free again when the work is over', async () => {
    expect(await one.shards.take('one', LEASE)).toHaveLength(16);
    await one.shards.release('one');
    expect(await ownersOf()).toEqual([null]);
  });

  it('CO2: are kept as long as nobody gives them back', async () => {
    await one.shards.take('one', LEASE);
    await one.close();
    expect(await two.shards.take('two', LEASE)).toEqual([]);
    expect(await ownersOf()).toEqual(['one']);
  });

  it('CO3: that their owner has given back can be taken', async () => {
    await one.shards.take('one', LEASE);
    await one.shards.release('one');
    expect(await two.shards.take('two', LEASE)).toHaveLength(16);
  });

  it('CO4: say who holds them', async () => {
    await one.shards.take('one', { leaseMs: 60_000, limit: 3 });
    expect((await two.shards.all()).map(({ owner }) => owner).slice(0, 4)).toEqual(['one', 'one', 'one', null]);
  });

  it('CO5: are found by their owner with what was taken', async () => {
    const taken = await one.shards.take('one', { leaseMs: 60_000, limit: 3 });
    const found = (await two.shards.all()).filter(({ owner }) => owner === 'one');
    expect(found.map(({ id, epoch }) => ({ id, epoch }))).toEqual(taken);
  });

  it('CO6: are found by their number with what was taken', async () => {
    const [taken] = await one.shards.take('one', { leaseMs: 60_000, limit: 1 });
    expect((await two.shards.all()).find(({ id }) => id === taken?.id)).toMatchObject({ owner: 'one', epoch: 1 });
  });

  it('CO7: cannot be renewed by another', async () => {
    const taken = await one.shards.take('one', LEASE);
    expect(await two.shards.renew('two', taken, 60_000)).toEqual([]);
    expect(await one.shards.renew('one', taken, 60_000)).toEqual(taken);
  });

  it('CO11: that are given back in good order are only one’s own', async () => {
    await one.shards.take('one', { leaseMs: 60_000, limit: 8 });
    await two.shards.take('two', LEASE);
    await one.shards.release('one');
    const owners = (await two.shards.all()).map(({ owner }) => owner);
    expect(owners.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => null));
    expect(owners.slice(8)).toEqual(Array.from({ length: 8 }, () => 'two'));
  });

  it('CO12: cannot be taken by one that has ended', async () => {
    await one.close();
    await expect(one.shards.take('one', LEASE)).rejects.toMatchObject({ retryable: true });
    expect(await ownersOf()).toEqual([null]);
  });

  it('AR1: of a dead gateway pass to the next one, and its name is gone', async () => {
    await one.shards.take('dead', { leaseMs: -1, limit: 100 });
    await two.shards.take('living', LEASE);
    expect(await ownersOf()).toEqual(['living']);
  });

  it('AR14: of a dead gateway are never taken by two', async () => {
    await one.shards.take('dead', { leaseMs: -1, limit: 100 });
    const [ofOne, ofTwo] = await Promise.all([one.shards.take('one', LEASE), two.shards.take('two', LEASE)]);
    const ids = [...ofOne, ...ofTwo].map(({ id }) => id);
    expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, id) => id));
  });

  it('AR22: are taken for work and given back after it', async () => {
    const lab = await startGatewayLab(settings(url));
    const during = await ownersOf();
    await lab.core.stop();
    expect(during).not.toContain(null);
    expect(await ownersOf()).toEqual([null]);
  });

  it('AR23: that are taken are answered with none, without an exception', async () => {
    await one.shards.take('one', LEASE);
    expect(await two.shards.take('two', LEASE)).toEqual([]);
  });
});

describe('records of our own', () => {
  beforeAll(async () => {
    url = await server.createDatabase(migrated);
    one = await openDatabase({ url });
    two = await openDatabase({ url });
    await one.documents.put('demo', 'jobs', 'made', { n: 1 }, { index: 'host-1' });
  });
  afterAll(async () => {
    await one.close();
    await two.close();
  });

  it('CO8: can be made and found', async () => {
    expect(await two.documents.get('demo', 'jobs', 'made')).toMatchObject({ key: 'made', document: { n: 1 } });
  });

  it('CO9: can be changed', async () => {
    await one.documents.put('demo', 'jobs', 'changed', { n: 1 });
    await two.documents.put('demo', 'jobs', 'changed', { n: 2 });
    expect(await one.documents.get('demo', 'jobs', 'changed')).toMatchObject({ document: { n: 2 }, revision: 2 });
  });

  it('CO10: can be deleted', async () => {
    await one.documents.put('demo', 'jobs', 'gone', { n: 1 });
    await two.documents.delete('demo', 'jobs', 'gone');
    expect(await one.documents.get('demo', 'jobs', 'gone')).toBeNull();
  });

  it('CO13: cannot be made twice', async () => {
    expect(await one.documents.put('demo', 'jobs', 'once', { by: 'one' }, { ifRevision: 0 })).toBe(true);
    expect(await two.documents.put('demo', 'jobs', 'once', { by: 'two' }, { ifRevision: 0 })).toBe(false);
    expect(await two.documents.get('demo', 'jobs', 'once')).toMatchObject({ document: { by: 'one' } });
  });

  it('CO14: do not keep another one from being made', async () => {
    const made = await Promise.all([
      one.documents.put('demo', 'jobs', 'a', {}, { ifRevision: 0 }),
      two.documents.put('demo', 'jobs', 'b', {}, { ifRevision: 0 }),
    ]);
    expect(made).toEqual([true, true]);
  });

  it('CO15: are found by their word', async () => {
    expect(await two.documents.find('demo', 'jobs', 'host-1')).toEqual([{ key: 'made', document: { n: 1 }, revision: 1 }]);
  });

  it('CO16: are found by collection and key', async () => {
    expect(present(await two.documents.get('demo', 'jobs', 'made')).document).toEqual({ n: 1 });
    expect(await two.documents.get('demo', 'other', 'made')).toBeNull();
  });

  it('CO17: are not found by another word, nor by another plugin', async () => {
    expect(await two.documents.find('demo', 'jobs', 'host-2')).toEqual([]);
    expect(await two.documents.find('other', 'jobs', 'host-1')).toEqual([]);
  });
});

describe('two gateways on one database', () => {
  interface Story {
    readonly didWait: boolean;
    readonly result: string;
    readonly history: readonly string[];
    readonly worlds: readonly (string | null)[];
  }
  let story: Story;
  beforeAll(async () => {
    const env = settings(await server.createDatabase(migrated));
    const first = await startGatewayLab(env);
    const { plan } = await first.core.service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } });
    let isSecondThere = false;
    const second = startGatewayLab(env).then((lab) => {
      isSecondThere = true;
      return lab;
    });
    // As long as it takes the second to find the database taken: it looks at once, and again every two seconds.
    for (let look = 0; look < 50; look += 1) {
      await first.core.service.states([plan]);
    }
    const didWait = !isSecondThere;
    await first.core.stop();
    const lab = await second;
    await lab.core.service.cancel(plan);
    const rested = await lab.rested(plan);
    const view = present((await lab.core.service.plans([plan]))[0]);
    await lab.core.stop();
    story = {
      didWait,
      result: `${rested.state}/${rested.result}`,
      history: view.history.map(({ name }) => name),
      worlds: view.history.map(({ world }) => world),
    };
  });

  it('AR18: the second takes over before it runs anything', () => {
    expect(story.didWait).toBe(true);
    expect(new Set(story.worlds).size).toBe(2);
  });

  it('DI6: when the first ends, its work goes on in the second', () => {
    expect(story.result).toBe('stopped/success');
    expect(story.history).toEqual(['start execution', 'terminate execution', 'start execution', 'finish execution']);
  });

  it('BA2: the second stays passive as long as the first is there', () => {
    expect(story.didWait).toBe(true);
  });

  it('BA4: the second becomes active when the first has stopped', () => {
    expect(story.worlds.at(-1)).not.toBe(story.worlds[0]);
    expect(story.history.at(-1)).toBe('finish execution');
  });

  it('DA2: the second picks up what the first has left', () => {
    expect(story.history.slice(0, 3)).toEqual(['start execution', 'terminate execution', 'start execution']);
  });
});

describe('a database that goes away', () => {
  const seen: { faults: string[]; refusal: unknown; after: string } = { faults: [], refusal: undefined, after: '' };
  beforeAll(async () => {
    const own = await startPostgres();
    const lab = await startGatewayLab(settings(await own.createDatabase()));
    const trigger = (): Promise<{ plan: string }> => lab.core.service.trigger({ action: 'dynflow_api.Noop', input: {} });
    await own.crash();
    seen.refusal = await trigger().catch((error: unknown) => error);
    seen.faults = (await lab.core.faults()).map(({ part }) => part);
    await own.restart();
    while ((await lab.core.faults()).length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const rested = await lab.rested((await trigger()).plan);
    seen.after = `${rested.state}/${rested.result}`;
    await lab.core.stop();
    await own.stop();
  });

  it('BA5: is said by the gateway, which takes nothing as long as that lasts', () => {
    expect(seen.faults).toEqual(['database']);
    expect(seen.refusal).toMatchObject({ retryable: true });
  });

  it('BA6: and comes back is used again', () => {
    expect(seen.after).toBe('stopped/success');
  });
});
