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
  /** `onlyFree`: those that somebody owns are left alone, even when their lease is over. */
  take(owner: string, options: { leaseMs: number; limit: number; onlyFree?: boolean }): Promise<OwnedShard[]>;
  renew(owner: string, shards: readonly OwnedShard[], leaseMs: number): Promise<OwnedShard[]>;
  /** Lost ones: commits do not answer for them any more. */
  forget(ids: readonly number[]): void;
  giveBack(owner: string, ids: readonly number[]): Promise<void>;
  release(owner: string): Promise<void>;
}

/** What is done with shards by whoever runs their plans. */
export interface ShardWork {
  /** Loads the plans of these shards and goes on with them. */
  adopt(shards: readonly OwnedShard[]): Promise<void>;
  /** Ends all work on the plans of these shards, without changing them; resolved when nothing of it is written any more. */
  drop(ids: readonly number[]): Promise<void>;
}

export interface ShardOwnerOptions {
  readonly leases: ShardLeases;
  /** Which gateways there are, this one included, in the same order for all of them. */
  readonly gateways: () => Promise<string[]>;
  readonly owner: string;
  readonly work: ShardWork;
  readonly clock: Clock;
  readonly log: PluginLog;
}

const LEASE_MS = 30_000;
const ROUND_MS = 2_000;

/**
 * Holds this gateway's fair share of a database: takes what is free or whose owner is gone, gives back what others should have, and drops
 * at once what somebody else has taken.
 *
 * S1. A shard's plans are worked on only between `adopt` and `drop`; it is given back only after `drop`.
 * S2. Shards of an owner that may only be cut off are taken after their lease, and not before this gateway has itself been connected for
 *     one lease: after an outage of the database everybody finds its shards again.
 */
export class ShardOwner {
  readonly #options: ShardOwnerOptions;
  #mine: OwnedShard[] = [];
  /** Since when the database has answered every time; null: it did not the last time. */
  #connectedSinceMs: number | null = null;
  #cancelRound: (() => void) | undefined;
  #round: Promise<void> = Promise.resolve();
  #isStopped = false;
  #onFirst: (() => void) | undefined;

  constructor(options: ShardOwnerOptions) {
    this.#options = options;
  }

  /** Ids of the shards that are this gateway's now. */
  get owned(): readonly number[] {
    return this.#mine.map(({ id }) => id);
  }

  /** Resolved when it owns its first shard; from then on it sees to its share by itself. */
  async start(): Promise<void> {
    const first = new Promise<void>((resolve) => {
      this.#onFirst = resolve;
    });
    this.#next(0);
    await first;
  }

  /** Drops everything and gives it back: others may take it at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRound?.();
    await this.#round;
    await this.#options.work.drop(this.owned);
    await this.#options.leases.release(this.#options.owner);
    this.#mine = [];
  }

  #next(inMs: number): void {
    const { clock } = this.#options;
    this.#cancelRound = clock.at(clock.now() + inMs, () => {
      this.#round = this.#try().finally(() => {
        if (!this.#isStopped) {
          this.#next(ROUND_MS);
        }
      });
    });
  }

  async #try(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      await this.#oneRound();
      this.#connectedSinceMs ??= clock.now();
    } catch (error) {
      if (this.#connectedSinceMs !== null || this.#mine.length === 0) {
        log.warn('the leases on the database could not be seen to; trying again', { reason: messageOf(error) });
      }
      this.#connectedSinceMs = null;
    }
  }

  async #oneRound(): Promise<void> {
    const { leases, owner, gateways, clock, work, log } = this.#options;
    const renewed = await leases.renew(owner, this.#mine, LEASE_MS);
    const lost = this.owned.filter((id) => !renewed.some((shard) => shard.id === id));
    this.#mine = renewed;
    if (lost.length > 0) {
      log.error('other gateways have taken shards of this one, because it was silent for too long', { shards: lost.join(' ') });
      leases.forget(lost);
      await work.drop(lost);
    }
    const all = await leases.all();
    const target = fairShare(all.length, await gateways(), owner);
    if (this.#mine.length > target) {
      await this.#giveBack(this.#mine.slice(target));
    } else if (this.#mine.length < target && !this.#isStopped) {
      const isSettled = this.#connectedSinceMs !== null && clock.now() - this.#connectedSinceMs >= LEASE_MS;
      const taken = await leases.take(owner, { leaseMs: LEASE_MS, limit: target - this.#mine.length, onlyFree: !isSettled });
      await this.#adopt(taken);
    }
  }

  async #giveBack(shards: readonly OwnedShard[]): Promise<void> {
    const { leases, owner, work, log } = this.#options;
    const ids = shards.map(({ id }) => id);
    this.#mine = this.#mine.filter(({ id }) => !ids.includes(id));
    await work.drop(ids);
    await leases.giveBack(owner, ids);
    log.info('gave shards to another gateway', { shards: ids.join(' ') });
  }

  async #adopt(shards: readonly OwnedShard[]): Promise<void> {
    if (shards.length === 0) {
      return;
    }
    const { work, log } = this.#options;
    this.#mine = [...this.#mine, ...shards].toSorted((a, b) => a.id - b.id);
    log.info('took shards of the database', { shards: shards.map(({ id }) => id).join(' ') });
    await work.adopt(shards);
    this.#onFirst?.();
  }
}

/** How many of the shards should be this gateway's. */
function fairShare(shards: number, gateways: readonly string[], self: string): number {
  const rank = gateways.indexOf(self);
  const count = Math.max(1, gateways.length);
  return Math.floor(shards / count) + (rank < shards % count ? 1 : 0);
}
