import { done, EngineWorld, suspended } from '@dynflow/testing/engine';
import { changes } from '@dynflow/testing/conformance';
import type { StoredPlan } from '@dynflow/engine';
import type { SubPlanRequest } from '@dynflow/contracts';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectSqlite, type SqliteConnection } from '../sqlite/open-sqlite.js';
import { SqlitePlanReader } from '../sqlite/sqlite-plan-reader.js';
import { SqlitePlanStore } from '../sqlite/sqlite-plan-store.js';

/* Plans as earlier releases stored them, at work and at rest: they load, and run to their end, for ever. */

const folder = join(import.meta.dirname, '../../../../test/golden/plans');

type Row = Readonly<Record<string, string | number | null>>;

interface GoldenPlans {
  readonly release: string;
  readonly nowMs: number;
  /** By the table's name: the rows with the columns that the release had. */
  readonly tables: Readonly<Record<string, readonly Row[]>>;
}

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));

function read(name: string): GoldenPlans {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as GoldenPlans;
}

/** A database of today into which the rows were written by the columns of their release. */
async function restored({ tables }: GoldenPlans): Promise<SqliteConnection> {
  const connection = await connectSqlite(null, () => undefined);
  for (const [table, rows] of Object.entries(tables)) {
    for (const row of rows) {
      const columns = Object.keys(row);
      connection.driver
        .prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)
        .run(...Object.values(row));
    }
  }
  return connection;
}

/** The actions that those plans are of. */
function makeWorld(): EngineWorld {
  const world = new EngineWorld();
  world.actions.executor('demo.A', { cancellable: true, chunksAs: 'result' });
  world.actions.executor('demo.B', { initialOutput: { kept: 1 }, finalize: { kind: 'run' } }, () => ({
    kind: 'done',
    output: { found: 1 },
  }));
  world.actions.composite('demo.Root', []);
  world.actions.composite('demo.Wide', []);
  world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.A', input: {} }]);
  world.actions.local('gw.Batch', ({ event, input }) =>
    event === undefined
      ? suspended({ commands: [{ kind: 'spawn', children: input['children'] as unknown as SubPlanRequest[], concurrencyLimit: 2 }] })
      : event.kind === 'subPlans' && event.counts.pending === 0
        ? done({ all: true })
        : suspended(),
  );
  world.actions.local('gw.Timer', ({ event }) => (event === undefined ? suspended({ wakeAfterMs: 60_000 }) : done({ rang: true })));
  return world;
}

/** Goes on with everything, as a gateway, its executors and an operator would. */
async function finish(world: EngineWorld, plans: readonly string[]): Promise<void> {
  // The executors of that time are gone, with what they held.
  void world.engine.executorLost('demo', 'e1', () => true);
  for (let round = 0; round < 20; round += 1) {
    await world.runAll();
    await world.advance(3_600_000);
    for (const plan of plans) {
      if (world.plan(plan).state === 'paused') {
        await world.ask(async (engine) => engine.resume(plan));
      }
    }
    if (plans.every((plan) => world.plan(plan).state === 'stopped')) {
      return;
    }
  }
}

describe('recorded plans', () => {
  it.each(files)('%s load, show themselves and run to their end', async (name) => {
    const golden = read(name);
    const { driver, close } = await restored(golden);
    const store = new SqlitePlanStore(driver);
    const ids = (golden.tables['dynflow_execution_plans'] ?? []).map(({ id }) => String(id));
    const stored = ids.map((id) => store.load(id)).filter((plan): plan is StoredPlan => plan !== null);
    expect(stored).toHaveLength(ids.length);
    const views = await new SqlitePlanReader(driver).plans(ids);
    expect(views.map(({ id, fault }) => [id, fault])).toEqual(ids.map((id) => [id, null]));

    const world = makeWorld();
    await world.store.commit(
      changes({
        newPlans: stored.map(({ plan }) => plan),
        newActions: stored.flatMap(({ actions }) => actions),
        newSteps: stored.flatMap(({ steps }) => steps),
        chunks: stored.flatMap(({ plan, actions }) =>
          actions.flatMap(({ id }) => store.chunks(plan.id, id).map((chunk) => ({ ...chunk, plan: plan.id, action: id }))),
        ),
      }),
    );
    world.clock.jump(golden.nowMs - world.clock.now());
    await world.restart();
    await finish(world, ids);

    expect(world.faults).toEqual([]);
    expect(ids.map((id) => [id.slice(-8), world.plan(id).verdict])).toMatchSnapshot();
    expect(ids.every((id) => world.plan(id).state === 'stopped')).toBe(true);
    await close();
  });

  it('are of every state in which a plan can be stored', () => {
    const states = files.flatMap((name) => (read(name).tables['dynflow_execution_plans'] ?? []).map(({ state }) => state));
    expect(new Set(states)).toEqual(new Set(['paused', 'planned', 'planning', 'running', 'stopped']));
  });
});

describe('rows of release 0.1.0', () => {
  const name = files.find((one) => one.endsWith('running-claimed.json')) ?? '';

  it('PE50: are readable, with defaults for what came later', async () => {
    const golden = read(name);
    const { driver, close } = await restored(golden);
    const plan = String(golden.tables['dynflow_execution_plans']?.[0]?.['id']);
    const stored = new SqlitePlanStore(driver).load(plan);
    expect(stored?.plan).toMatchObject({ priority: 0, attributes: {}, schedule: null, isHalted: false, idempotencyKey: null });
    expect(stored?.actions.map(({ progressWeights }) => progressWeights)).toEqual(stored?.actions.map(() => ({ run: 1, finalize: 1 })));
    expect(stored?.steps.every(({ retries }) => retries === 0)).toBe(true);
    await close();
  });

  it('PE51: get the columns of today with their next change', async () => {
    const golden = read(name);
    const { driver, close } = await restored(golden);
    const store = new SqlitePlanStore(driver);
    const [row] = golden.tables['dynflow_execution_plans'] ?? [];
    const stored = store.load(String(row?.['id']));
    expect(row).not.toHaveProperty('held_because');
    store.commit(changes({ plans: stored === null ? [] : [{ ...stored.plan, heldBecause: 'maintenance', isHalted: true }] }));
    expect(driver.prepare('SELECT held_because, is_halted, waiting_for FROM dynflow_execution_plans').all()).toEqual([
      { held_because: 'maintenance', is_halted: 1, waiting_for: null },
    ]);
    await close();
  });

  it('PE52: are read from those columns from then on', async () => {
    const golden = read(name);
    const { driver, close } = await restored(golden);
    const store = new SqlitePlanStore(driver);
    driver.prepare("UPDATE dynflow_execution_plans SET held_because = 'maintenance', priority = 3").run();
    const stored = store.load(String(golden.tables['dynflow_execution_plans']?.[0]?.['id']));
    expect(stored?.plan).toMatchObject({ heldBecause: 'maintenance', priority: 3 });
    await close();
  });
});
