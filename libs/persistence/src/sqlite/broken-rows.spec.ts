import { changes, planRow, smallPlan } from '@dynflow/testing/conformance';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectSqlite, type SqliteConnection } from './open-sqlite.js';
import { SqlitePlanReader } from './sqlite-plan-reader.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';

/* What somebody breaks from outside is that plan's fault alone. */

let connection: SqliteConnection;

beforeEach(async () => {
  connection = await connectSqlite(null, () => undefined);
});
afterEach(async () => {
  await connection.close();
});

it.each([
  ['dynflow_execution_plans', 'run_flow'],
  ['dynflow_execution_plans', 'history'],
  ['dynflow_execution_plans', 'attributes'],
  ['dynflow_execution_plans', 'schedule'],
  ['dynflow_execution_plans', 'request'],
  ['dynflow_actions', 'input'],
  ['dynflow_actions', 'output'],
  ['dynflow_actions', 'output_references'],
  ['dynflow_actions', 'progress_weights'],
  ['dynflow_steps', 'error'],
  ['dynflow_steps', 'detail'],
])('a broken %s.%s keeps no other plan from being loaded, shown and listed, and its own from being run', async (table, column) => {
  const store = new SqlitePlanStore(connection.driver);
  const reader = new SqlitePlanReader(connection.driver);
  const [broken, whole] = [smallPlan(), smallPlan()];
  store.commit(broken.changes);
  store.commit(whole.changes);
  connection.driver
    .prepare(`UPDATE ${table} SET ${column} = '{"half' WHERE ${table.endsWith('plans') ? 'id' : 'plan_id'} = ?`)
    .run(broken.id);

  const [loaded, other] = store.loadUnfinished();
  expect(loaded).toMatchObject({ plan: { id: broken.id, state: 'running' }, fault: expect.stringContaining('is no JSON') });
  expect(other).toEqual({ plan: whole.changes.newPlans[0], actions: whole.changes.newActions, steps: whole.changes.newSteps });
  const views = await reader.plans([broken.id, whole.id]);
  expect(views.map(({ id, state }) => [id, state])).toEqual([
    [broken.id, 'running'],
    [whole.id, 'running'],
  ]);
  expect(views[1]?.fault).toBeNull();
  expect(await reader.list({ limit: 5, state: 'running' })).toHaveLength(2);

  // It can be ended and deleted like any other.
  store.commit(changes({ plans: [planRow({ id: broken.id, state: 'stopped' })] }));
  expect(await reader.count('stopped')).toBe(1);
});
