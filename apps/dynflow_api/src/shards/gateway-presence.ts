import type { Clock, JsonObject } from '@dynflow/kernel';
import type { StoredDocument } from '@dynflow/contracts';

/** The documents of the gateways themselves. */
export interface PresenceTable {
  put(plugin: string, collection: string, key: string, document: JsonObject, options: { index: string }): Promise<boolean>;
  find(plugin: string, collection: string, index: string): Promise<StoredDocument[]>;
  delete(plugin: string, collection: string, key: string): Promise<void>;
}

const PLUGIN = 'gateway';
const COLLECTION = 'gateways';
const INDEX = 'all';
/** A document that has not changed for so long is of a gateway that is gone. */
const GONE_AFTER_MS = 15_000;
const FORGOTTEN_AFTER_MS = 3_600_000;

/**
 * Which gateways there are. Each writes its own document now and then; that it still changes, by the reader's own clock, is what counts:
 * the clocks of gateways need not agree.
 */
export class GatewayPresence {
  readonly #seen = new Map<string, { revision: number; changedAtMs: number }>();

  constructor(
    private readonly table: PresenceTable,
    private readonly self: string,
    private readonly clock: Clock,
  ) {}

  /** Says that this one is there. @returns the ids of all that are, this one included, in the same order for every gateway. */
  async beat(): Promise<string[]> {
    await this.table.put(PLUGIN, COLLECTION, this.self, {}, { index: INDEX });
    const nowMs = this.clock.now();
    const found = await this.table.find(PLUGIN, COLLECTION, INDEX);
    for (const { key, revision } of found) {
      const known = this.#seen.get(key);
      if (known?.revision !== revision) {
        this.#seen.set(key, { revision, changedAtMs: nowMs });
      } else if (nowMs - known.changedAtMs > FORGOTTEN_AFTER_MS) {
        await this.table.delete(PLUGIN, COLLECTION, key);
      }
    }
    return found
      .map(({ key }) => key)
      .filter((key) => key === this.self || nowMs - (this.#seen.get(key)?.changedAtMs ?? 0) <= GONE_AFTER_MS)
      .toSorted();
  }

  /** This one goes. */
  async leave(): Promise<void> {
    await this.table.delete(PLUGIN, COLLECTION, this.self);
  }
}
