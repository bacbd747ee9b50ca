import { messageOf, type Clock } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';

/** A share of the plans in the database, with the number of times that it changed hands. */
export interface OwnedShard {
  readonly id: number;
  readonly epoch: number;
}

/** The leases by which gateways share a database. */
export interface ShardLeases {
  all(): Promise<{ id: number; owner: string | null }[]>;
  take(owner: string, options: { leaseMs: number; limit: number }): Promise<OwnedShard[]>;
  renew(owner: string, shards: readonly OwnedShard[], leaseMs: number): Promise<OwnedShard[]>;
  release(owner: string): Promise<void>;
}

const LEASE_MS = 30_000;
const RENEW_EVERY_MS = 10_000;
const TRY_AGAIN_MS = 2_000;

/**
 * Holds a whole database for one gateway: today's engine runs all plans of its database. A second gateway on the same PostgreSQL waits
 * as a standby and takes over within seconds when the first one stops, or after the lease when it is gone.
 */
export class Ownership {
  readonly #options: { leases: ShardLeases; owner: string; clock: Clock; log: PluginLog; onLost: () => void };
  #shards: OwnedShard[] = [];
  #cancelRenewal: (() => void) | undefined;
  #isReleased = false;

  /** @param options `onLost` is called when another gateway has taken over: this one must not write any more, and ends. */
  constructor(options: { leases: ShardLeases; owner: string; clock: Clock; log: PluginLog; onLost: () => void }) {
    this.#options = options;
  }

  /** Resolved when every shard is this gateway's; waits as long as another one has them. */
  async acquire(): Promise<void> {
    const { leases, owner, log } = this.#options;
    let saidWhose = '';
    for (;;) {
      const all = await leases.all();
      const taken = await leases.take(owner, { leaseMs: LEASE_MS, limit: all.length });
      if (taken.length === all.length) {
        this.#shards = taken;
        this.#renewLater();
        return;
      }
      // Half of the shards are of no use, and would keep the other gateway from them.
      await leases.release(owner);
      const whose = all.find((shard) => shard.owner !== null && shard.owner !== owner)?.owner ?? 'unknown';
      if (whose !== saidWhose) {
        saidWhose = whose;
        log.warn('another gateway has this database; waiting as its standby', { owner: whose });
      }
      await this.#pause();
    }
  }

  /** Gives the database free for the next gateway. */
  async release(): Promise<void> {
    this.#isReleased = true;
    this.#cancelRenewal?.();
    await this.#options.leases.release(this.#options.owner);
  }

  #renewLater(): void {
    const { clock } = this.#options;
    this.#cancelRenewal = clock.at(clock.now() + RENEW_EVERY_MS, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { leases, owner, log, onLost } = this.#options;
    try {
      const renewed = await leases.renew(owner, this.#shards, LEASE_MS);
      if (renewed.length < this.#shards.length && !this.#isReleased) {
        log.error('another gateway has taken over this database, because this one was silent for too long; ending');
        onLost();
        return;
      }
    } catch (error) {
      log.warn('the lease on the database could not be renewed; trying again', { reason: messageOf(error) });
    }
    if (!this.#isReleased) {
      this.#renewLater();
    }
  }

  async #pause(): Promise<void> {
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      clock.at(clock.now() + TRY_AGAIN_MS, resolve);
    });
  }
}
