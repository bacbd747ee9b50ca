import { InvalidInputError, UnavailableError } from '@dynflow/kernel';
import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { changes, planRow, smallPlan } from '@dynflow/testing/conformance';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DuplicatePlanError, ShardLostError } from '../errors.js';
import { openDatabase } from '../open-database.js';
import { connectPostgres } from './open-postgres.js';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

describe('the schema', () => {
  it('is made by one of several gateways that start together', async () => {
    const url = await server.createDatabase();
    const log: string[] = [];

    const databases = await Promise.all([1, 2, 3].map(async () => openDatabase({ url, log: (line) => log.push(line) })));

    expect(log).toEqual([expect.stringContaining('CreateTables')]);
    for (const database of databases) {
      await database.check();
      await database.close();
    }
  });

  it('is what the entities describe, and what is committed', async () => {
    const { source, pool, close } = await connectPostgres(await server.createDatabase(), () => undefined);
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);

    const columns = await pool.query<{ table: string; line: string }>(`
      SELECT table_name AS table, '  ' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
        || coalesce(' default ' || column_default, '') AS line
      FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`);
    const constraints = await pool.query<{ table: string; line: string }>(`
      SELECT conrelid::regclass::text AS table, '  ' || conname || ': ' || pg_get_constraintdef(oid) AS line
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, conname`);
    const indexes = await pool.query<{ table: string; line: string }>(`
      SELECT tablename AS table, '  ' || indexdef AS line FROM pg_indexes WHERE schemaname = 'public' ORDER BY tablename, indexname`);
    const tables = [...new Set(columns.rows.map(({ table }) => table))];
    const linesOf = (rows: { table: string; line: string }[], table: string): string[] =>
      rows.filter((row) => row.table === table).map(({ line }) => line);
    const text = tables.map((table) =>
      [table, ...[columns, constraints, indexes].flatMap(({ rows }) => linesOf(rows, table)), ''].join('\n'),
    );
    // After a wanted change: npx vitest run -u <this file>.
    await expect(text.join('\n')).toMatchFileSnapshot('../../schema.postgres.txt');
    await close();
  });
});

describe('several gateways on one database', () => {
  it('make a plan once', async () => {
    const url = await server.createDatabase();
    const databases = await Promise.all([1, 2].map(async () => openDatabase({ url })));
    const { changes: made } = smallPlan();

    const outcomes = await Promise.allSettled(databases.map(async ({ plans }) => plans.commit(made)));

    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toBeInstanceOf(DuplicatePlanError);
    expect(refused?.reason).toMatchObject({ context: { plan: made.newPlans[0]?.id } });
    await Promise.all(databases.map(async (database) => database.close()));
  });

  it('share the shards without one twice', async () => {
    const url = await server.createDatabase();
    const databases = await Promise.all([1, 2].map(async () => openDatabase({ url })));

    const rounds = await Promise.all(
      databases.flatMap(({ shards }, index) =>
        Array.from({ length: 4 }, async () => shards.take(`gateway-${index}`, { leaseMs: 60_000, limit: 3 })),
      ),
    );

    const taken = rounds.flat();
    expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
    expect(taken.every(({ epoch }) => epoch === 1)).toBe(true);
    await Promise.all(databases.map(async (database) => database.close()));
  });
});

describe('a gateway whose lease was over', () => {
  it('cannot write any more once another has taken its plans, and nothing of what it tried is there', async () => {
    const url = await server.createDatabase();
    const [slow, quick] = await Promise.all([openDatabase({ url }), openDatabase({ url })]);
    const before = smallPlan();
    const after = smallPlan();
    const [shard] = await slow.shards.take('slow', { leaseMs: -1, limit: 1 });
    const late = changes({ ...after.changes, plans: [planRow({ id: before.id, state: 'stopped' })] });
    await slow.plans.commit(before.changes);

    await quick.shards.take('quick', { leaseMs: 60_000, limit: 1 });

    await expect(slow.plans.commit(late)).rejects.toThrow(ShardLostError);
    expect(await slow.shards.renew('slow', shard === undefined ? [] : [shard], 60_000)).toEqual([]);
    await expect(slow.plans.commit(late)).rejects.toThrow(ShardLostError);
    expect((await quick.plans.load(before.id))?.plan.state).toBe('running');
    expect(await quick.plans.load(after.id)).toBeNull();
    await quick.plans.commit(after.changes);
    await quick.plans.commit(changes({ plans: [planRow({ id: before.id, state: 'paused' })] }));

    // What it is given later is its own.
    slow.shards.forget([0]);
    await slow.plans.commit(smallPlan().changes);
    await Promise.all([slow.close(), quick.close()]);
  });

  it('is held up while a commit is under way, so that it sees what was committed', async () => {
    const url = await server.createDatabase();
    const [one, two] = await Promise.all([openDatabase({ url }), openDatabase({ url })]);
    await one.shards.take('one', { leaseMs: -1, limit: 1 });
    const plans = Array.from({ length: 20 }, () => smallPlan());

    const commits = Promise.allSettled(plans.map(async ({ changes: made }) => one.plans.commit(made)));
    await two.shards.take('two', { leaseMs: 60_000, limit: 1 });
    const seen = await two.plans.existing(plans.map(({ id }) => id));
    const outcomes = await commits;

    // A commit that comes to its end after the take would be missing here.
    const committed = plans.filter((_, index) => outcomes[index]?.status === 'fulfilled').map(({ id }) => id);
    expect(seen).toEqual(new Set(committed));
    await Promise.all([one.close(), two.close()]);
  });
});

describe('the connection of commits', () => {
  it('finds rows by their keys and plans once, also when it was made anew; that of readers is left to the server', async () => {
    const { pool, commits, close } = await connectPostgres(await server.createDatabase(), () => undefined);
    const settings = async (of: typeof pool): Promise<unknown[]> =>
      Promise.all(
        ['plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'].map(
          async (name) => (await of.query<{ value: string }>('SELECT current_setting($1) AS value', [name])).rows[0]?.value,
        ),
      );
    const forCommits = ['force_generic_plan', 'off', 'off', 'off', 'off'];
    expect(await settings(commits)).toEqual(forCommits);

    await expect(commits.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow('terminating connection');

    expect(await settings(commits)).toEqual(forCommits);
    expect(await settings(pool)).toEqual(['auto', 'on', 'on', 'on', 'on']);
    await close();
  });
});

describe('a server that fails', () => {
  it('is reported, and used again when it is back', async () => {
    const log: string[] = [];
    const database = await openDatabase({ url: await server.createDatabase(), log: (line) => log.push(line) });
    const before = smallPlan();
    const after = smallPlan();
    await database.plans.commit(before.changes);

    await server.crash();
    await expect(database.check()).rejects.toThrow(UnavailableError);
    await expect(database.plans.commit(after.changes)).rejects.toThrow(
      expect.objectContaining({ code: 'DYN_DATABASE_UNAVAILABLE', retryable: true }),
    );
    await expect(database.reader.plans([before.id])).rejects.toThrow(UnavailableError);
    await expect(database.reader.list({ limit: 1 })).rejects.toThrow(UnavailableError);
    await server.restart();

    await database.plans.commit(after.changes);
    expect((await database.reader.plans([before.id, after.id])).map(({ id }) => id)).toEqual([before.id, after.id]);
    await database.close();
  });

  it('is not there: the attempt says where, and never the password', async () => {
    const url = (await server.createDatabase()).replace('dynflow@', 'dynflow:s3cret@').replace(/\/[^/]*$/, '/no_such_database');
    const attempt = openDatabase({ url });
    await expect(attempt).rejects.toThrow(UnavailableError);
    await expect(attempt).rejects.toThrow('"no_such_database" does not exist');
    await expect(attempt).rejects.not.toThrow('s3cret');
  });
});

it('names the database without its password', async () => {
  const url = await server.createDatabase();
  const database = await openDatabase({ url: url.replace('dynflow@', 'dynflow:s3cret@') });
  expect(database.name).toMatch(/^PostgreSQL database test_\d+ on 127\.0\.0\.1:\d+$/);
  expect(database).toMatchObject({ isDurable: true, isShared: true });
  await database.close();
});

it('refuses a URL that cannot be one', async () => {
  await expect(openDatabase({ url: 'postgres://[' })).rejects.toThrow(InvalidInputError);
});

it('shows NUL bytes in words for people as what cannot be shown', async () => {
  const database = await openDatabase({ url: await server.createDatabase() });
  const plan = planRow({ label: 'a\u0000b' });
  await database.plans.commit(changes({ newPlans: [plan] }));
  expect((await database.plans.load(plan.id))?.plan.label).toBe('a\uFFFDb');
  expect(await database.reader.states(['a\u0000b'])).toEqual(new Map());
  await database.close();
});
