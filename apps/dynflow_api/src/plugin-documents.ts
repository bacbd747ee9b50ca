import type { StoreAnswerV1, StoreRequestV1, StoredDocument } from '@dynflow/contracts';
import type { JsonObject } from '@dynflow/kernel';
import type { PluginDocuments } from './bus/gateway-bus.js';

/** The table of documents; a plugin never sees another's. */
export interface DocumentTable {
  get(plugin: string, collection: string, key: string): Promise<StoredDocument | null>;
  /** @returns false if the document has another revision than `ifRevision`. */
  put(
    plugin: string,
    collection: string,
    key: string,
    document: JsonObject,
    options?: { index?: string; ifRevision?: number },
  ): Promise<boolean>;
  delete(plugin: string, collection: string, key: string): Promise<void>;
  find(plugin: string, collection: string, index: string): Promise<StoredDocument[]>;
}

/** Answers what executors ask of their documents. */
export class StoredPluginDocuments implements PluginDocuments {
  readonly #table: DocumentTable;

  constructor(table: DocumentTable) {
    this.#table = table;
  }

  async handle(plugin: string, request: StoreRequestV1): Promise<StoreAnswerV1> {
    const answer = (ok: boolean, documents: StoredDocument[] = []): StoreAnswerV1 => ({ type: 'store.answer', version: 1, ok, documents });
    switch (request.op) {
      case 'get': {
        const found = await this.#table.get(plugin, request.collection, request.key);
        return answer(true, found === null ? [] : [found]);
      }
      case 'put': {
        const { index, ifRevision } = request;
        const options = { ...(index === undefined ? {} : { index }), ...(ifRevision === undefined ? {} : { ifRevision }) };
        return answer(await this.#table.put(plugin, request.collection, request.key, request.document, options));
      }
      case 'delete':
        await this.#table.delete(plugin, request.collection, request.key);
        return answer(true);
      case 'find':
        return answer(true, await this.#table.find(plugin, request.collection, request.index));
    }
  }
}
