import { EntitySchema } from 'typeorm';

/** A row of `dynflow_manifests`: the last announcement of a plugin's version at a site. */
export interface ManifestColumns {
  plugin: string;
  plugin_version: string;
  site: string;
  manifest: string;
  seen_at: number;
}

const primary = { primary: true, primaryKeyConstraintName: 'dynflow_manifests_pkey' };

export const manifestEntity = (): EntitySchema<ManifestColumns> =>
  new EntitySchema<ManifestColumns>({
    name: 'Manifest',
    tableName: 'dynflow_manifests',
    columns: {
      plugin: { type: 'text', ...primary },
      plugin_version: { type: 'text', ...primary },
      site: { type: 'text', ...primary },
      manifest: { type: 'text' },
      seen_at: { type: 'double precision' },
    },
  });
