import { describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { ManualClock } from '@dynflow/testing';
import { GatewayPresence } from './gateway-presence.js';
import { ShardOwner, type OwnedShard, type ShardLeases } from './shard-owner.js';

const SHARDS = 6;

/** Leases and documents as the database keeps them, on a clock that is moved by hand. */
class Shared implements ShardLeases {
  readonly rows = Array.from({ length: SHARDS }, (_, id) => ({ id, owner: null as string | null, epoch: 0, expiresAtMs: 0 }));
  readonly documents = new Map<string, number>();
  isAway = false;

  constructor(private readonly clock: ManualClock) {}

  all(): Promise<{ id: number; owner: string | null }[]> {
    return this.#answer(() => this.rows.map(({ id, owner }) => ({ id, owner })));
  }

  take(owner: string, { leaseMs, limit, onlyFree = false }: { leaseMs: number; limit: number; onlyFree?: boolean }): Promise<OwnedShard[]> {
    return this.#answer(() => {
      const isFree = (row: (typeof this.rows)[number]): boolean =>
        row.owner === null || (!onlyFree && row.owner !== owner && row.expiresAtMs <= this.clock.now());
      return this.rows
        .filter(isFree)
        .slice(0, limit)
        .map((row) => {
          Object.assign(row, { owner, epoch: row.epoch + 1, expiresAtMs: this.clock.now() + leaseMs });
          return { id: row.id, epoch: row.epoch };
        });
    });
  }

  renew(owner: string, shards: readonly OwnedShard[], leaseMs: number): Promise<OwnedShard[]> {
    return this.#answer(() =>
      shards.filter(({ id, epoch }) => {
        const row = this.rows[id];
        const isMine = row?.owner === owner && row.epoch === epoch;
        Object.assign(row ?? {}, isMine ? { expiresAtMs: this.clock.now() + leaseMs } : {});
        return isMine;
      }),
    );
  }

  forget(): void {
    // Only real commits look at that.
  }

  giveBack(owner: string, ids: readonly number[]): Promise<void> {
    return this.#answer(() => {
      this.rows.filter((row) => row.owner === owner && ids.includes(row.id)).forEach((row) => (row.owner = null));
    });
  }

  release(owner: string): Promise<void> {
    return this.giveBack(
      owner,
      this.rows.map(({ id }) => id),
    );
  }

  put(_plugin: string, _collection: string, key: string): Promise<boolean> {
    return this.#answer(() => {
      this.documents.set(key, (this.documents.get(key) ?? 0) + 1);
      return true;
    });
  }

  find(): Promise<{ key: string; document: object; revision: number }[]> {
    return this.#answer(() => [...this.documents].map(([key, revision]) => ({ key, document: {}, revision })));
  }

  delete(_plugin: string, _collection: string, key: string): Promise<void> {
    return this.#answer(() => void this.documents.delete(key));
  }

  async #answer<T>(make: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      if (this.isAway) {
        throw new UnavailableError('DYN_DATABASE_UNAVAILABLE', 'the database is away');
      }
      return make();
    });
  }
}

class World {
  readonly clock = new ManualClock();
  readonly shared = new Shared(this.clock);
  readonly log: string[] = [];
  /** Who works on a shard: the thing that must never be two. */
  readonly working = new Map<number, Set<string>>();
  readonly doubled: number[] = [];

  gateway(owner: string): ShardOwner {
    const line = (message: string): void => void this.log.push(`${owner}: ${message}`);
    const table = {
      put: this.shared.put.bind(this.shared),
      find: this.shared.find.bind(this.shared),
      delete: this.shared.delete.bind(this.shared),
    };
    const presence = new GatewayPresence(table as ConstructorParameters<typeof GatewayPresence>[0], owner, this.clock);
    return new ShardOwner({
      leases: this.shared,
      gateways: () => presence.beat(),
      owner,
      clock: this.clock,
      log: { debug: line, info: line, warn: line, error: line },
      work: {
        adopt: (shards) => {
          for (const { id } of shards) {
            const workers = this.working.get(id) ?? new Set();
            this.working.set(id, workers.add(owner));
            if (workers.size > 1) {
              this.doubled.push(id);
            }
          }
          return Promise.resolve();
        },
        drop: (ids) => {
          ids.forEach((id) => this.working.get(id)?.delete(owner));
          return Promise.resolve();
        },
      },
    });
  }

  /** Lets promises settle, then moves the clock, again and again. */
  async pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      await settled();
      this.clock.advance(500);
      await settled();
    }
  }

  owners(): (string | null)[] {
    return this.shared.rows.map(({ owner }) => owner);
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
};

async function start(world: World, gateway: ShardOwner): Promise<void> {
  const started = gateway.start();
  await world.pass(500);
  await started;
}

describe('ShardOwner', () => {
  it('RL1: takes everything when it is alone, and says so', async () => {
    const world = new World();
    const one = world.gateway('one');
    await start(world, one);
    expect(one.owned).toEqual([0, 1, 2, 3, 4, 5]);
    expect(world.log).toContain('one: took shards of the database');
  });

  it('shares with gateways that come, and takes back what one leaves that goes', async () => {
    const world = new World();
    const [one, two, three] = [world.gateway('one'), world.gateway('two'), world.gateway('three')];
    await start(world, one);
    for (const gateway of [two, three]) {
      void gateway.start();
      await world.pass(6_000);
    }
    expect([one, two, three].map(({ owned }) => owned.length)).toEqual([2, 2, 2]);
    await two.stop();
    await world.pass(30_000);
    expect([one, three].map(({ owned }) => owned.length)).toEqual([3, 3]);
    expect(world.doubled).toEqual([]);
  });

  it('RL4: takes over from one that is gone after its lease, and not before', async () => {
    const world = new World();
    // What a gateway leaves that was killed: its leases and its document.
    world.shared.rows
      .slice(0, 3)
      .forEach((row) => Object.assign(row, { owner: 'gone', epoch: 4, expiresAtMs: world.clock.now() + 30_000 }));
    world.shared.documents.set('gone', 9);
    const one = world.gateway('one');
    await start(world, one);
    await world.pass(28_000);
    expect(one.owned).toEqual([3, 4, 5]);
    await world.pass(10_000);
    expect(one.owned).toEqual([0, 1, 2, 3, 4, 5]);
    expect(world.shared.rows[0]?.epoch).toBe(5);
  });

  it('RL3: drops at once what another one has taken, and says so', async () => {
    const world = new World();
    const one = world.gateway('one');
    await start(world, one);
    Object.assign(world.shared.rows[4] ?? {}, { owner: 'thief', epoch: 7, expiresAtMs: world.clock.now() + 60_000 });
    await world.pass(3_000);
    expect(one.owned).toEqual([0, 1, 2, 3, 5]);
    expect([...(world.working.get(4) ?? [])]).toEqual([]);
    expect(world.log).toContain('one: other gateways have taken shards of this one, because it was silent for too long');
  });

  it('RL2: lets everybody find its shards again after an outage that outlasted the leases', async () => {
    const world = new World();
    const [one, two] = [world.gateway('one'), world.gateway('two')];
    await start(world, one);
    void two.start();
    await world.pass(60_000);
    const before = world.owners();
    expect(new Set(before)).toEqual(new Set(['one', 'two']));
    world.shared.isAway = true;
    await world.pass(120_000);
    world.shared.isAway = false;
    await world.pass(20_000);
    expect(world.owners()).toEqual(before);
    expect(world.doubled).toEqual([]);
  });
});
