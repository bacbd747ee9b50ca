import type { JsonObject } from '@dynflow/kernel';
import type { DocumentStore } from '@dynflow/plugin';
import type { HostKeyStore, KnownHostKey } from './ssh/host-keys.js';

const COLLECTION = 'known_hosts';

/** Host keys in the gateway's database, one document for a host and port: all executors trust the same keys. */
export class StoredHostKeys implements HostKeyStore {
  readonly #store: DocumentStore;

  constructor(store: DocumentStore) {
    this.#store = store;
  }

  async find(host: string, port: number): Promise<readonly KnownHostKey[]> {
    const stored = await this.#store.get(COLLECTION, keyOf(host, port));
    return stored === null ? [] : keysIn(stored.document);
  }

  async remember(host: string, port: number, key: KnownHostKey): Promise<void> {
    for (;;) {
      const stored = await this.#store.get(COLLECTION, keyOf(host, port));
      const keys = stored === null ? [] : keysIn(stored.document);
      if (keys.some((known) => known.key === key.key)) {
        return;
      }
      const document = { keys: [...keys, key].map(({ type, key: blob }) => ({ type, key: blob })) };
      const options = { index: host, ifRevision: stored?.revision ?? 0 };
      // Two jobs may see a new host at the same moment; the second then reads what the first has written.
      if (await this.#store.put(COLLECTION, keyOf(host, port), document, options)) {
        return;
      }
    }
  }

  async forget(host: string, port?: number): Promise<void> {
    const keys = port === undefined ? (await this.#store.find(COLLECTION, host)).map((stored) => stored.key) : [keyOf(host, port)];
    for (const key of keys) {
      await this.#store.delete(COLLECTION, key);
    }
  }
}

function keyOf(host: string, port: number): string {
  return `[${host}]:${port}`;
}

function keysIn(document: JsonObject): KnownHostKey[] {
  const { keys } = document;
  return Array.isArray(keys) ? (keys as unknown as KnownHostKey[]) : [];
}
