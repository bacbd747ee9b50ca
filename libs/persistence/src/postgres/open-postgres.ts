import pg from 'pg';
import { DataSource } from 'typeorm';
import type { Database } from '../database.js';
import { entities } from '../entities/entities.js';
import { MIGRATIONS_TABLE, migrations } from '../migrations/migrations.js';
import { DocumentStore } from '../tables/document-store.js';
import { ManifestStore } from '../tables/manifest-store.js';
import type { PlanArchive } from '../tables/plan-archive.js';
import { PlanDeletion } from '../tables/plan-deletion.js';
import { ShardStore } from '../tables/shard-store.js';
import { commitPool } from './commit-pool.js';
import { postgresFailure } from './postgres-errors.js';
import { PostgresPlanReader } from './postgres-plan-reader.js';
import { PostgresPlanStore } from './postgres-plan-store.js';
import { postgresSql } from './postgres-sql.js';

/** A server that is away is reported, not waited for. */
const CONNECT_TIMEOUT_MS = 10_000;

/** For all but commits, which have one of their own. */
const CONNECTIONS = 9;

const APPLICATION = 'dynflow_api';

/** Names our lock among the advisory locks of the database. */
const MIGRATION_LOCK = 'dynflow_migrations';

export interface PostgresConnection {
  readonly source: DataSource;
  readonly pool: pg.Pool;
  /** For commits, and for nothing else. */
  readonly commits: pg.Pool;
  close(): Promise<void>;
}

/** Opens a PostgreSQL database. See `openDatabase`. */
export async function openPostgres(url: string, log: (message: string) => void, archive: PlanArchive | null): Promise<Database> {
  const connection = await connectPostgres(url, log);
  const { pool, commits } = connection;
  const sql = postgresSql(pool);
  const reader = new PostgresPlanReader(pool);
  const deletion = new PlanDeletion(sql, reader, archive);
  const shards = new ShardStore(sql, { isShared: true });
  return {
    name: nameOf(url),
    kind: 'postgres',
    isDurable: true,
    isShared: true,
    plans: new PostgresPlanStore(pool, commits, () => shards.held),
    reader,
    documents: new DocumentStore(sql),
    manifests: new ManifestStore(sql),
    shards,
    purgeFinished: async (options) => deletion.purgeFinished(options),
    deletePlans: async (filter, options) => deletion.deletePlans(filter, options),
    check: async () => void (await sql`SELECT id FROM dynflow_shards LIMIT 1`),
    close: async () => connection.close(),
  };
}

/** The connections, the tables up to date. */
export async function connectPostgres(url: string, log: (message: string) => void): Promise<PostgresConnection> {
  // A pool replaces a connection that breaks while nobody uses it.
  const onBroken = (error: unknown): void => log(`a connection to the database broke: ${postgresFailure(error).message}`);
  const source = new DataSource({
    type: 'postgres',
    driver: pg,
    url,
    applicationName: APPLICATION,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    poolSize: CONNECTIONS,
    extra: { keepAlive: true },
    installExtensions: false,
    poolErrorHandler: onBroken,
    entities: entities('postgres'),
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    logging: false,
  });
  try {
    await source.initialize();
    const pool = poolOf(source);
    await migrate(source, pool, (names) => log(`${nameOf(url)}: ran ${names}`));
    const commits = commitPool(
      { connectionString: url, application_name: APPLICATION, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true },
      onBroken,
    );
    return {
      source,
      pool,
      commits,
      close: async () => {
        if (source.isInitialized) {
          await Promise.all([source.destroy(), commits.end()]);
        }
      },
    };
  } catch (error) {
    if (source.isInitialized) {
      await source.destroy();
    }
    throw postgresFailure(error);
  }
}

/** Of gateways that start together one migrates; the others wait and find it done. */
async function migrate(source: DataSource, pool: pg.Pool, log: (names: string) => void): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [MIGRATION_LOCK]);
    const applied = await source.runMigrations({ transaction: 'all' });
    if (applied.length > 0) {
      log(applied.map(({ name }) => name).join(', '));
    }
  } finally {
    // Ends the connection, and the lock with it.
    client.release(true);
  }
}

function poolOf(source: DataSource): pg.Pool {
  const { master } = source.driver as unknown as { master?: unknown };
  if (!(master instanceof pg.Pool)) {
    throw new TypeError('TypeORM opened no pool of connections');
  }
  return master;
}

/** Says where it is, without user and password. */
function nameOf(url: string): string {
  const { host, pathname, searchParams } = new URL(url);
  return `PostgreSQL database ${decodeURIComponent(pathname.slice(1))} on ${host || (searchParams.get('host') ?? 'this machine')}`;
}
