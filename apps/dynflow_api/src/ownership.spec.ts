import { describe, expect, it } from 'vitest';
import { ManualClock } from '@dynflow/testing';
import { Ownership, type OwnedShard, type ShardLeases } from './ownership.js';

/** Leases as the database keeps them, on a clock that is moved by hand. */
class Leases implements ShardLeases {
  readonly #rows = new Map([0, 1].map((id) => [id, { owner: null as string | null, epoch: 0, expiresAtMs: 0 }]));

  constructor(private readonly clock: ManualClock) {}

  all(): Promise<{ id: number; owner: string | null }[]> {
    return Promise.resolve([...this.#rows].map(([id, row]) => ({ id, owner: row.owner })));
  }

  take(owner: string, options: { leaseMs: number; limit: number }): Promise<OwnedShard[]> {
    const taken: OwnedShard[] = [];
    for (const [id, row] of this.#rows) {
      if (taken.length < options.limit && (row.owner === null || (row.owner !== owner && row.expiresAtMs <= this.clock.now()))) {
        Object.assign(row, { owner, epoch: row.epoch + 1, expiresAtMs: this.clock.now() + options.leaseMs });
        taken.push({ id, epoch: row.epoch });
      }
    }
    return Promise.resolve(taken);
  }

  renew(owner: string, shards: readonly OwnedShard[], leaseMs: number): Promise<OwnedShard[]> {
    const renewed = shards.filter(({ id, epoch }) => this.#rows.get(id)?.owner === owner && this.#rows.get(id)?.epoch === epoch);
    for (const { id } of renewed) {
      Object.assign(this.#rows.get(id) ?? {}, { expiresAtMs: this.clock.now() + leaseMs });
    }
    return Promise.resolve(renewed);
  }

  release(owner: string): Promise<void> {
    for (const row of this.#rows.values()) {
      if (row.owner === owner) {
        Object.assign(row, { owner: null, expiresAtMs: 0 });
      }
    }
    return Promise.resolve();
  }
}

function setUp() {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const lines: string[] = [];
  const add = (message: string): void => void lines.push(message);
  const log = { debug: add, info: add, warn: add, error: add };
  const gateway = (owner: string, onLost: () => void = () => undefined) => new Ownership({ leases, owner, clock, log, onLost });
  return { clock, leases, lines, gateway };
}

/** The next turn of the event loop: every promise that can settle has done so. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Lets promises settle, then moves the clock, again and again. */
async function pass(clock: ManualClock, ms: number, stepMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    await settled();
    clock.advance(stepMs);
    await settled();
  }
}

describe('Ownership', () => {
  it('takes a free database at once', async () => {
    const { gateway, leases } = setUp();

    await gateway('one').acquire();

    expect(await leases.all()).toEqual([
      { id: 0, owner: 'one' },
      { id: 1, owner: 'one' },
    ]);
  });

  it('waits as a standby, says for whom, and takes over when the first one stops', async () => {
    const { gateway, leases, clock, lines } = setUp();
    const first = gateway('one');
    await first.acquire();
    let isOwner = false;
    const second = gateway('two')
      .acquire()
      .then(() => (isOwner = true));

    await pass(clock, 60_000, 1_000);
    expect(isOwner).toBe(false);
    expect(lines).toEqual(['another gateway has this database; waiting as its standby']);

    await first.release();
    await pass(clock, 3_000, 1_000);
    await second;
    expect((await leases.all()).map((shard) => shard.owner)).toEqual(['two', 'two']);
  });

  it('takes over after the lease when the first one is gone, and the first one learns it', async () => {
    const { gateway, clock, leases } = setUp();
    let isLost = false;
    await gateway('one', () => (isLost = true)).acquire();
    // What a lease that ran out looks like to the first gateway, which stood still meanwhile.
    await leases.release('one');
    await leases.take('two', { leaseMs: 30_000, limit: 2 });

    await pass(clock, 10_000, 1_000);

    expect(isLost).toBe(true);
  });
});
