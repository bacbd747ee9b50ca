import type { Sql } from './sql.js';

/** A share of the plans, and the number of times that it changed hands: who has an older epoch has lost it. */
export interface Shard {
  readonly id: number;
  readonly epoch: number;
}

/** A shard as it stands in the database. */
export interface ShardLease extends Shard {
  readonly owner: string | null;
  /** Epoch milliseconds of the database's clock. */
  readonly expiresAtMs: number;
}

/** A shard that was taken through this store and not given back. */
export interface HeldShard extends Shard {
  readonly owner: string;
}

/**
 * The leases by which gateways share a database. All times are the database's, so that the gateways' clocks do not matter.
 * Of two gateways that want a shard one gets it.
 *
 * In a shared database every commit checks that all shards which were taken through this store are still its own, and throws
 * ShardLostError if not: who was away for longer than its lease cannot write over the work of its successor.
 */
export class ShardStore {
  readonly #held = new Map<number, HeldShard>();

  readonly #isShared: boolean;

  /** `isShared: false`: whoever has the database open is alone with it, and an older lease is that of a process that is gone. */
  constructor(
    private readonly sql: Sql,
    options: { readonly isShared: boolean },
  ) {
    this.#isShared = options.isShared;
  }

  async all(): Promise<ShardLease[]> {
    return this.sql<ShardLease>`SELECT id, owner, epoch, expires_at AS "expiresAtMs" FROM dynflow_shards ORDER BY id`;
  }

  /**
   * Takes shards that nobody owns or whose lease is over, at most `limit`, and raises their epochs. Its own are not among them.
   *
   * @returns those it took.
   */
  async take(
    owner: string,
    options: {
      readonly leaseMs: number;
      readonly limit: number;
      /** Those that somebody owns are left alone, even when their lease is over. */
      readonly onlyFree?: boolean;
    },
  ): Promise<Shard[]> {
    const isAlone = this.#isShared ? 0 : 1;
    // A time before any lease: then none of them is over.
    const overBeforeMs = options.onlyFree === true ? -1 : Number.MAX_SAFE_INTEGER;
    // The condition stands twice: in a race the second gateway waits for the first one's row and looks again.
    const taken = await this.sql<Shard>`
      UPDATE dynflow_shards SET owner = ${owner}, epoch = epoch + 1, expires_at = now_ms() + ${options.leaseMs}
      WHERE id IN (
        SELECT id FROM dynflow_shards
        WHERE owner IS NULL OR (owner <> ${owner} AND ((expires_at <= now_ms() AND expires_at <= ${overBeforeMs}) OR ${isAlone} = 1))
        ORDER BY id LIMIT ${options.limit}
      ) AND (owner IS NULL OR (owner <> ${owner} AND ((expires_at <= now_ms() AND expires_at <= ${overBeforeMs}) OR ${isAlone} = 1)))
      RETURNING id, epoch`;
    for (const shard of taken) {
      this.#held.set(shard.id, { ...shard, owner });
    }
    return taken.sort((a, b) => a.id - b.id);
  }

  /**
   * Prolongs leases, also those that are over while nobody else has taken the shard.
   *
   * @returns the shards that are still this owner's; the others were taken by somebody, and are to be forgotten.
   */
  async renew(owner: string, shards: readonly Shard[], leaseMs: number): Promise<Shard[]> {
    const renewed: Shard[] = [];
    for (const { id, epoch } of shards) {
      const rows = await this.sql<Shard>`
        UPDATE dynflow_shards SET expires_at = now_ms() + ${leaseMs}
        WHERE id = ${id} AND epoch = ${epoch} AND owner = ${owner}
        RETURNING id, epoch`;
      renewed.push(...rows);
    }
    return renewed;
  }

  /** Takes shards that are lost out of what commits check, after their plans have been dropped. */
  forget(ids: readonly number[]): void {
    for (const id of ids) {
      this.#held.delete(id);
    }
  }

  /** What commits check. */
  get held(): readonly HeldShard[] {
    return [...this.#held.values()];
  }

  /** Gives some of the owner's shards back: others may take them at once. */
  async giveBack(owner: string, ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      await this.sql`UPDATE dynflow_shards SET owner = NULL, expires_at = 0 WHERE owner = ${owner} AND id = ${id} RETURNING id`;
    }
    this.forget(ids);
  }

  /** Gives all of the owner's shards back: others may take them at once. */
  async release(owner: string): Promise<void> {
    await this.sql`UPDATE dynflow_shards SET owner = NULL, expires_at = 0 WHERE owner = ${owner} RETURNING id`;
    this.forget(this.held.filter((shard) => shard.owner === owner).map(({ id }) => id));
  }
}
