import type { StoredDocument } from '@dynflow/contracts';
import type { JsonObject } from '@dynflow/kernel';
import type { DocumentColumns } from '../entities/document.entity.js';
import type { Sql } from './sql.js';

type Found = Pick<DocumentColumns, 'key' | 'document' | 'revision'>;

/** Documents of plugins, which have no database of their own. A plugin's name is part of every key. */
export class DocumentStore {
  constructor(private readonly sql: Sql) {}

  async get(plugin: string, collection: string, key: string): Promise<StoredDocument | null> {
    const [found] = await this.sql<Found>`
      SELECT key, document, revision FROM dynflow_documents
      WHERE plugin = ${plugin} AND collection = ${collection} AND key = ${key}`;
    return found === undefined ? null : documentOf(found);
  }

  /**
   * Stores a document in place of the one that is there; its revision is 1 at first and grows by one each time. `index` is a word to
   * find it by; without one it has none any more.
   *
   * @returns false, and nothing is done, if the document has not the revision `ifRevision` (0: if there is one at all).
   */
  async put(
    plugin: string,
    collection: string,
    key: string,
    document: JsonObject,
    options: { readonly index?: string; readonly ifRevision?: number } = {},
  ): Promise<boolean> {
    const index = options.index ?? null;
    const text = JSON.stringify(document);
    const { ifRevision } = options;
    if (ifRevision !== undefined && ifRevision > 0) {
      const changed = await this.sql`
        UPDATE dynflow_documents SET document = ${text}, index_word = ${index}, revision = revision + 1
        WHERE plugin = ${plugin} AND collection = ${collection} AND key = ${key} AND revision = ${ifRevision}
        RETURNING revision`;
      return changed.length > 0;
    }
    const written =
      ifRevision === 0
        ? await this.sql`
            INSERT INTO dynflow_documents (plugin, collection, key, index_word, document, revision)
            VALUES (${plugin}, ${collection}, ${key}, ${index}, ${text}, 1)
            ON CONFLICT (plugin, collection, key) DO NOTHING
            RETURNING revision`
        : await this.sql`
            INSERT INTO dynflow_documents (plugin, collection, key, index_word, document, revision)
            VALUES (${plugin}, ${collection}, ${key}, ${index}, ${text}, 1)
            ON CONFLICT (plugin, collection, key) DO UPDATE
            SET document = excluded.document, index_word = excluded.index_word, revision = dynflow_documents.revision + 1
            RETURNING revision`;
    return written.length > 0;
  }

  /** Deleting what is not there does nothing. */
  async delete(plugin: string, collection: string, key: string): Promise<void> {
    await this.sql`
      DELETE FROM dynflow_documents
      WHERE plugin = ${plugin} AND collection = ${collection} AND key = ${key}
      RETURNING key`;
  }

  /** The documents that were stored with this index word, by key. */
  async find(plugin: string, collection: string, index: string): Promise<StoredDocument[]> {
    const found = await this.sql<Found>`
      SELECT key, document, revision FROM dynflow_documents
      WHERE plugin = ${plugin} AND collection = ${collection} AND index_word = ${index}
      ORDER BY key`;
    return found.map(documentOf);
  }
}

function documentOf({ key, document, revision }: Found): StoredDocument {
  return { key, document: JSON.parse(document) as JsonObject, revision };
}
