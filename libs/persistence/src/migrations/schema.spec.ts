import { expect, it } from 'vitest';
import { connectSqlite } from '../sqlite/open-sqlite.js';
import { migrations } from './migrations.js';

/** Where a column or a constraint of a table begins. */
const ITEMS = /(?:\(|, )(?="\w+" (?:text|integer|double|boolean|varchar|bigint)|CONSTRAINT |PRIMARY KEY \()/g;

it('makes by its migrations what the entities describe', async () => {
  const { source, close } = await connectSqlite(null, () => undefined);
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  expect(upQueries.map(({ query }) => query)).toEqual([]);
  await close();
});

it('has the committed SQLite schema', async () => {
  const { driver, close } = await connectSqlite(null, () => undefined);
  const statements = driver
    .prepare<[], string>(
      "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type DESC, name",
    )
    .pluck()
    .all();
  // A column a line, so that a change can be read. After a wanted change: npx vitest run -u <this file>.
  const text = statements.map((sql) => `${sql.trim().replaceAll(ITEMS, (separator) => `${separator.trim()}\n  `)};\n`).join('\n');
  await expect(text).toMatchFileSnapshot('../../schema.sqlite.sql');
  await close();
});

it('can be undone', async () => {
  const { source, driver, close } = await connectSqlite(null, () => undefined);
  for (const _ of migrations) {
    await source.undoLastMigration();
  }
  expect(driver.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'dynflow_%'").pluck().all()).toEqual(['dynflow_migrations']);
  await source.runMigrations();
  expect(driver.prepare('SELECT count(*) FROM dynflow_shards').pluck().get()).toBe(1);
  await close();
});
