import SqliteDriver from 'better-sqlite3';
import pg from 'pg';

/*
 * Plans by the million, by SQL: copies of a plan that was really run, with columns of their own where lists look. They have no actions
 * and no steps, which lists do not read. Indexes are made afterwards, which takes less time than to keep them up.
 */

/** One plan in so many is `paused`; and `running`. The others have stopped. */
const ONE_PAUSED_IN = 100;
const ONE_RUNNING_IN = 1_000;
export const LABELS = 200;
export const HOSTS = 5_000;
/** A plan is made every so often. */
export const EVERY_MS = 100;

const FILLED = ['dynflow_execution_plans', 'dynflow_plan_attributes'];

/** How a database writes what another writes differently. */
interface Dialect {
  text(expression: string): string;
  hex(expression: string): string;
  /** A table `numbers` with the column `i`, which counts from 1. */
  numbers(count: number): string;
}

/** What is different in each copy. */
function variedColumns({ text, hex }: Dialect): Record<string, string> {
  const isPaused = `i % ${ONE_PAUSED_IN} = 0`;
  const isRunning = `i % ${ONE_RUNNING_IN} = 1`;
  const madeAt = `template.created_at + i * ${EVERY_MS}`;
  return {
    number: 'i + 1',
    id: `'00000000-0000-4000-8000-' || ${hex('i')}`,
    label: `'bench.Label' || ${text(`i % ${LABELS}`)}`,
    state: `CASE WHEN ${isPaused} THEN 'paused' WHEN ${isRunning} THEN 'running' ELSE 'stopped' END`,
    result: `CASE WHEN ${isPaused} OR i % 37 = 0 THEN 'error' WHEN ${isRunning} THEN 'pending' ELSE 'success' END`,
    created_at: madeAt,
    started_at: `${madeAt} + 5`,
    ended_at: `CASE WHEN ${isPaused} OR ${isRunning} THEN NULL ELSE ${madeAt} + 50 END`,
    attributes: `'{"host":"host' || ${text(`i % ${HOSTS}`)} || '.example.com"}'`,
  };
}

function fillStatements(dialect: Dialect, columns: readonly string[], plans: number): string[] {
  const varied = variedColumns(dialect);
  const values = columns.map((column) => varied[column] ?? `template.${column}`);
  const template = '(SELECT * FROM dynflow_execution_plans ORDER BY number LIMIT 1) AS template';
  return [
    `INSERT INTO dynflow_execution_plans (${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${template}, ${dialect.numbers(plans)}`,
    'INSERT INTO dynflow_plan_attributes (plan_number, name, value) ' +
      `SELECT i + 1, 'host', 'host' || ${dialect.text(`i % ${HOSTS}`)} || '.example.com' FROM ${dialect.numbers(plans)}`,
  ];
}

/** Fills an SQLite file in which one plan has been run and that nobody has open. */
export function fillSqlite(file: string, plans: number): void {
  const database = new SqliteDriver(file);
  try {
    // It is thrown away afterwards: nothing needs to be durable.
    database.pragma('synchronous = OFF');
    database.pragma('cache_size = -262144');
    database.pragma('foreign_keys = OFF');
    const columns = database.prepare<[], string>("SELECT name FROM pragma_table_info('dynflow_execution_plans')").pluck().all();
    const indexes = database
      .prepare<[string], { name: string; sql: string }>(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (SELECT value FROM json_each(?))",
      )
      .all(JSON.stringify(FILLED));
    const dialect: Dialect = {
      text: (expression) => `(${expression})`,
      hex: (expression) => `printf('%012x', ${expression})`,
      numbers: (count) =>
        `(WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted LIMIT ${count}) SELECT i FROM counted) AS numbers`,
    };
    const statements = [
      ...indexes.map(({ name }) => `DROP INDEX "${name}"`),
      ...fillStatements(dialect, columns, plans),
      ...indexes.map(({ sql }) => sql),
    ];
    database.exec(`BEGIN; ${statements.join('; ')}; COMMIT`);
    database.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    database.close();
  }
}

/** Fills a PostgreSQL database in which one plan has been run. */
export async function fillPostgres(url: string, plans: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET session_replication_role = replica");
    const columns = await client.query<{ column_name: string }>(
      "SELECT column_name FROM information_schema.columns WHERE table_name = 'dynflow_execution_plans' ORDER BY ordinal_position",
    );
    // Those that constraints need cannot be dropped.
    const indexes = await client.query<{ indexname: string; indexdef: string }>(
      `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY ($1::text[])
       AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexname::regclass)`,
      [FILLED],
    );
    const dialect: Dialect = {
      text: (expression) => `(${expression})::text`,
      hex: (expression) => `lpad(to_hex(${expression}), 12, '0')`,
      numbers: (count) => `generate_series(1, ${count}) AS numbers (i)`,
    };
    const statements = [
      ...indexes.rows.map(({ indexname }) => `DROP INDEX "${indexname}"`),
      ...fillStatements(
        dialect,
        columns.rows.map((row) => row.column_name),
        plans,
      ),
      ...indexes.rows.map(({ indexdef }) => indexdef),
    ];
    for (const statement of statements) {
      await client.query(statement);
    }
    // As the server itself does it now and then.
    await client.query(`VACUUM ANALYZE ${FILLED.join(', ')}`);
  } finally {
    await client.end();
  }
}
