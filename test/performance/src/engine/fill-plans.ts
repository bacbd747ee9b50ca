import SqliteDriver from 'better-sqlite3';
import pg from 'pg';

/*
 * Plans by the million, by SQL: copies of a plan that was really run, with columns of their own where lists look. They have no actions
 * and no steps, which lists do not read.
 */

/** One plan in so many is `paused`; and `running`. The others have stopped. */
export const ONE_PAUSED_IN = 100;
export const ONE_RUNNING_IN = 1_000;
export const LABELS = 200;

/** Plans are made ten a second. */
const EVERY_MS = 100;

/** What is different in each copy, as SQL: `i` counts from 1. */
const VARIED = (textOf: (expression: string) => string, hexOf: (expression: string) => string): Record<string, string> => ({
  id: `'00000000-0000-4000-8000-' || ${hexOf('i')}`,
  label: `'bench.Label' || ${textOf(`i % ${LABELS}`)}`,
  state: `CASE WHEN i % ${ONE_PAUSED_IN} = 0 THEN 'paused' WHEN i % ${ONE_RUNNING_IN} = 1 THEN 'running' ELSE 'stopped' END`,
  result: `CASE WHEN i % ${ONE_PAUSED_IN} = 0 OR i % 37 = 0 THEN 'error' WHEN i % ${ONE_RUNNING_IN} = 1 THEN 'pending' ELSE 'success' END`,
  created_at: `template.created_at + i * ${EVERY_MS}`,
  started_at: `template.created_at + i * ${EVERY_MS} + 5`,
  ended_at: `CASE WHEN i % ${ONE_PAUSED_IN} = 0 OR i % ${ONE_RUNNING_IN} = 1 THEN NULL ELSE template.created_at + i * ${EVERY_MS} + 50 END`,
});

function copyStatement(columns: readonly string[], varied: Record<string, string>, numbers: string): string {
  const copied = columns.filter((column) => column !== 'number');
  const values = copied.map((column) => varied[column] ?? `template.${column}`);
  return (
    `INSERT INTO dynflow_execution_plans (${copied.join(', ')}) SELECT ${values.join(', ')} ` +
    `FROM (SELECT * FROM dynflow_execution_plans ORDER BY number LIMIT 1) AS template, ${numbers} ORDER BY i`
  );
}

/** Fills an SQLite file in which at least one plan has been run and that nobody has open. */
export function fillSqlite(file: string, plans: number): void {
  const database = new SqliteDriver(file);
  try {
    // It is thrown away afterwards: nothing needs to be durable.
    database.pragma('synchronous = OFF');
    database.pragma('cache_size = -262144');
    const columns = database.prepare<[], { name: string }>("SELECT name FROM pragma_table_info('dynflow_execution_plans')").all();
    const varied = VARIED(
      (expression) => `(${expression})`,
      (expression) => `printf('%012x', ${expression})`,
    );
    const numbers = `(WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted LIMIT ${plans}) SELECT i FROM counted)`;
    database.exec(
      copyStatement(
        columns.map(({ name }) => name),
        varied,
        numbers,
      ),
    );
    database.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    database.close();
  }
}

/** Fills a PostgreSQL database in which at least one plan has been run. */
export async function fillPostgres(url: string, plans: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    const { rows } = await client.query<{ column_name: string }>(
      "SELECT column_name FROM information_schema.columns WHERE table_name = 'dynflow_execution_plans' ORDER BY ordinal_position",
    );
    const varied = VARIED(
      (expression) => `(${expression})::text`,
      (expression) => `lpad(to_hex(${expression}), 12, '0')`,
    );
    await client.query(
      copyStatement(
        rows.map((row) => row.column_name),
        varied,
        `generate_series(1, ${plans}) AS i`,
      ),
    );
    // As the server itself does it now and then.
    await client.query('VACUUM ANALYZE dynflow_execution_plans');
  } finally {
    await client.end();
  }
}
