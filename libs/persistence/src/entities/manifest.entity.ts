import { EntitySchema } from 'typeorm';

/** A row of `dynflow_manifests`: what a plugin's version declares. */
export interface ManifestColumns {
  plugin: string;
  plugin_version: string;
  declaration: string;
  kept_at: number;
}

const primary = { primary: true, primaryKeyConstraintName: 'dynflow_manifests_pkey' };

export const manifestEntity = (): EntitySchema<ManifestColumns> =>
  new EntitySchema<ManifestColumns>({
    name: 'Manifest',
    tableName: 'dynflow_manifests',
    columns: {
      plugin: { type: 'text', ...primary },
      plugin_version: { type: 'text', ...primary },
      declaration: { type: 'text' },
      kept_at: { type: 'double precision' },
    },
  });
