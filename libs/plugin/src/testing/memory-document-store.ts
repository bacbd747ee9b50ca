import type { JsonObject } from '@dynflow/kernel';
import type { DocumentStore } from '../action.js';

interface Entry {
  document: JsonObject;
  revision: number;
  index: string | undefined;
}

/** A document store in memory, with the rules of the real one: copies in and out, revisions, find by index word, oldest first. */
export class MemoryDocumentStore implements DocumentStore {
  readonly #collections = new Map<string, Map<string, Entry>>();

  async get(collection: string, key: string): Promise<{ document: JsonObject; revision: number } | null> {
    const entry = this.#collections.get(collection)?.get(key);
    return Promise.resolve(entry === undefined ? null : { document: structuredClone(entry.document), revision: entry.revision });
  }

  async put(
    collection: string,
    key: string,
    document: JsonObject,
    options: { index?: string; ifRevision?: number } = {},
  ): Promise<boolean> {
    const entries = this.#collections.get(collection) ?? new Map<string, Entry>();
    this.#collections.set(collection, entries);
    const revision = entries.get(key)?.revision ?? 0;
    if (options.ifRevision !== undefined && options.ifRevision !== revision) {
      return Promise.resolve(false);
    }
    entries.set(key, { document: structuredClone(document), revision: revision + 1, index: options.index });
    return Promise.resolve(true);
  }

  async delete(collection: string, key: string): Promise<void> {
    this.#collections.get(collection)?.delete(key);
    return Promise.resolve();
  }

  async find(collection: string, index: string): Promise<{ key: string; document: JsonObject; revision: number }[]> {
    const found: { key: string; document: JsonObject; revision: number }[] = [];
    for (const [key, entry] of this.#collections.get(collection) ?? []) {
      if (entry.index === index) {
        found.push({ key, document: structuredClone(entry.document), revision: entry.revision });
      }
    }
    return Promise.resolve(found);
  }
}
