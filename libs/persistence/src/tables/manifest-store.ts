import type { PluginDeclaration } from '@dynflow/contracts';
import type { Sql } from './sql.js';

/** What plugins have declared, so that a gateway that starts before its executors knows their actions and features. */
export class ManifestStore {
  constructor(private readonly sql: Sql) {}

  /** Keeps a declaration in place of an earlier one of the same plugin and version. */
  async keep(declaration: PluginDeclaration): Promise<void> {
    await this.sql`
      INSERT INTO dynflow_manifests (plugin, plugin_version, declaration, kept_at)
      VALUES (${declaration.plugin}, ${declaration.pluginVersion}, ${JSON.stringify(declaration)}, now_ms())
      ON CONFLICT (plugin, plugin_version) DO UPDATE SET declaration = excluded.declaration, kept_at = excluded.kept_at
      RETURNING plugin`;
  }

  /** All of them; of several versions of a plugin the one that was kept last comes first. */
  async all(): Promise<PluginDeclaration[]> {
    const found = await this.sql<{ declaration: string }>`
      SELECT declaration FROM dynflow_manifests ORDER BY kept_at DESC, plugin, plugin_version`;
    return found.map(({ declaration }) => JSON.parse(declaration) as PluginDeclaration);
  }

  /** Forgets a plugin with all its versions. */
  async forget(plugin: string): Promise<void> {
    await this.sql`DELETE FROM dynflow_manifests WHERE plugin = ${plugin} RETURNING plugin`;
  }
}
