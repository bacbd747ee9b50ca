import type { Database, OpenDatabaseOptions } from './database.js';
import { parseDatabaseUrl } from './database-url.js';
import { openPostgres } from './postgres/open-postgres.js';
import { openSqlite } from './sqlite/open-sqlite.js';
import { PlanArchive } from './tables/plan-archive.js';

/**
 * Opens a database and brings its tables up to date. A file that does not exist is made, with mode 0600, and so is its directory, 0700.
 *
 * @throws InvalidInputError for a URL that is none; DatabaseInUseError when another process has the file; UnavailableError.
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  const location = parseDatabaseUrl(options.url);
  const log = options.log ?? (() => undefined);
  const archive = options.archiveDir == null ? null : new PlanArchive(options.archiveDir, () => Date.now());
  switch (location.kind) {
    case 'sqlite-memory':
      return openSqlite(null, log, archive);
    case 'sqlite-file':
      return openSqlite(location.file, log, archive);
    case 'postgres':
      return openPostgres(location.url, log, archive);
  }
}
