import SqliteDriver from 'better-sqlite3';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { UnavailableError, messageOf } from '@dynflow/kernel';
import type { Database } from '../database.js';
import { entities } from '../entities/entities.js';
import { databaseUnavailable } from '../errors.js';
import { MIGRATIONS_TABLE, migrations } from '../migrations/migrations.js';
import { DocumentStore } from '../tables/document-store.js';
import { ManifestStore } from '../tables/manifest-store.js';
import type { PlanArchive } from '../tables/plan-archive.js';
import { PlanDeletion } from '../tables/plan-deletion.js';
import { ShardStore } from '../tables/shard-store.js';
import { lockForThisProcess } from './process-lock.js';
import { sqliteFailure } from './sqlite-errors.js';
import { SqlitePlanReader } from './sqlite-plan-reader.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';
import { sqliteSql } from './sqlite-sql.js';

/** Readers from outside, such as a backup, hold a lock for moments only. */
const BUSY_TIMEOUT_MS = 5_000;

/** The pages of active plans fit, so that a commit does not read from the file. */
const CACHE_KIB = 16_384;

/** The log goes back into the file every 16 MiB: rarely enough that a page which changes in each commit is copied once for many. */
const CHECKPOINT_PAGES = 4_096;

export interface SqliteConnection {
  readonly source: DataSource;
  readonly driver: SqliteDriver.Database;
  close(): Promise<void>;
}

/** Opens SQLite: a file, or with null a database in memory. See `openDatabase`. */
export async function openSqlite(file: string | null, log: (message: string) => void, archive: PlanArchive | null): Promise<Database> {
  const connection = await connectSqlite(file, log);
  const { driver } = connection;
  const sql = sqliteSql(driver);
  const reader = new SqlitePlanReader(driver);
  const deletion = new PlanDeletion(sql, reader, archive);
  return {
    name: file === null ? 'SQLite in memory' : `SQLite file ${file}`,
    kind: 'sqlite',
    isDurable: file !== null,
    isShared: false,
    plans: new SqlitePlanStore(driver),
    reader,
    documents: new DocumentStore(sql),
    manifests: new ManifestStore(sql),
    shards: new ShardStore(sql, { isShared: false }),
    purgeFinished: async (options) => deletion.purgeFinished(options),
    deletePlans: async (filter, options) => deletion.deletePlans(filter, options),
    check: async () => void (await sql`SELECT id FROM dynflow_shards LIMIT 1`),
    close: async () => connection.close(),
  };
}

/** The connection, its tables up to date. */
export async function connectSqlite(file: string | null, log: (message: string) => void): Promise<SqliteConnection> {
  const unlock = file === null ? () => undefined : prepareFile(file, log);
  try {
    const { source, driver } = await connect(file);
    const applied = await source.runMigrations({ transaction: 'all' });
    if (file !== null && applied.length > 0) {
      log(`database ${file}: ran ${applied.map(({ name }) => name).join(', ')}`);
    }
    return {
      source,
      driver,
      close: async () => {
        if (source.isInitialized) {
          await source.destroy();
          unlock();
        }
      },
    };
  } catch (error) {
    unlock();
    const failure = sqliteFailure(error);
    // Whoever named the file must learn which one is meant.
    throw file !== null && failure instanceof UnavailableError
      ? databaseUnavailable(new Error(`${file}: ${messageOf(failure.cause)}`, { cause: error }))
      : failure;
  }
}

async function connect(file: string | null): Promise<{ source: DataSource; driver: SqliteDriver.Database }> {
  let opened: SqliteDriver.Database | undefined;
  const source = new DataSource({
    type: 'better-sqlite3',
    driver: SqliteDriver,
    database: file ?? ':memory:',
    entities: entities('sqlite'),
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    logging: false,
    timeout: BUSY_TIMEOUT_MS,
    prepareDatabase: (driver: SqliteDriver.Database) => {
      opened = driver;
      driver.pragma('journal_mode = WAL');
      driver.pragma('synchronous = FULL');
      driver.pragma('foreign_keys = ON');
      driver.pragma(`cache_size = -${CACHE_KIB}`);
      driver.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    },
  });
  await source.initialize();
  if (opened === undefined) {
    throw new TypeError('TypeORM opened no connection');
  }
  return { source, driver: opened };
}

/** Takes the lock first: whoever opens and closes a file in a process drops that process's locks on it. */
function prepareFile(file: string, log: (message: string) => void): () => void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw databaseUnavailable(error);
  }
  const unlock = lockForThisProcess(file);
  try {
    closeSync(openSync(file, 'wx', 0o600));
    log(`database ${file}: made`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      unlock();
      throw databaseUnavailable(error);
    }
  }
  return unlock;
}
