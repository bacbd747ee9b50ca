import { EntitySchema } from 'typeorm';

/** A row of `dynflow_documents`: what a plugin keeps in the gateway's database. */
export interface DocumentColumns {
  plugin: string;
  collection: string;
  key: string;
  index_word: string | null;
  document: string;
  revision: number;
}

const primary = { primary: true, primaryKeyConstraintName: 'dynflow_documents_pkey' };

export const documentEntity = (): EntitySchema<DocumentColumns> =>
  new EntitySchema<DocumentColumns>({
    name: 'Document',
    tableName: 'dynflow_documents',
    columns: {
      plugin: { type: 'text', ...primary },
      collection: { type: 'text', ...primary },
      key: { type: 'text', ...primary },
      index_word: { type: 'text', nullable: true },
      document: { type: 'text' },
      revision: { type: 'integer' },
    },
    indices: [{ name: 'dynflow_documents_index_word', columns: ['plugin', 'collection', 'index_word'], where: 'index_word IS NOT NULL' }],
  });
