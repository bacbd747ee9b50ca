import { Engine, type ReadyToken, type RestedPlan } from '@dynflow/engine';
import { UnavailableError } from '@dynflow/kernel';
import { ManualClock, ScriptedCatalogue, SequentialIds } from '@dynflow/testing/engine';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectSqlite, type SqliteConnection } from './open-sqlite.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';

let directory: string;
let connection: SqliteConnection;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dynflow-disk-'));
  connection = await connectSqlite(join(directory, 'dynflow.db'), () => undefined);
});
afterEach(async () => {
  await connection.close();
  await rm(directory, { recursive: true });
});

it('a full disk refuses launches and leaves reports unconfirmed; with room again everything goes on and nothing is lost', async () => {
  const clock = new ManualClock();
  const actions = new ScriptedCatalogue();
  actions.executor('p.A', { chunksAs: 'result' });
  const tokens: ReadyToken[] = [];
  const rested: RestedPlan[] = [];
  const nothing = async (): Promise<never> => Promise.reject(new UnavailableError('DYN_TEST', 'nobody is asked here'));
  const engine = new Engine({
    clock,
    ids: new SequentialIds(),
    store: new SqlitePlanStore(connection.driver),
    catalogue: actions,
    local: actions,
    outbox: {
      publishTokens: (ready) => void tokens.push(...ready),
      tell: async () => Promise.resolve(true),
      perform: nothing,
      askPlan: nothing,
      askDelay: nothing,
    },
    schedule: (turn) => void setImmediate(turn),
    world: 'w',
    outputLimitBytes: 10_000_000,
    onRest: (plan) => void rested.push(plan),
  });
  await engine.start();
  const { plan } = await engine.trigger({ action: 'p.A', input: {} });
  const holder = { version: 1, executor: 'e1', startId: 's1' } as const;
  const held = { claim: 'c1', plan, step: 2, attempt: 1 };
  expect(await engine.claim('p', { type: 'claim', ...holder, claims: [held] })).toMatchObject([{ result: 'granted' }]);
  const chunks = [{ seq: 1, kind: 'stdout', timestampMs: 0, text: 'x'.repeat(100_000) }];
  const report = { ...held, number: 1, outcome: { kind: 'done', output: { x: 1 } }, chunks } as const;
  const say = async (): Promise<void> => engine.report('p', { type: 'report', ...holder, reports: [{ ...report, chunks: [...chunks] }] });

  connection.driver.pragma(`max_page_count = ${String(connection.driver.pragma('page_count', { simple: true }))}`);
  await expect(engine.trigger({ action: 'p.A', input: { text: 'y'.repeat(100_000) } })).rejects.toThrow(UnavailableError);
  await expect(say()).rejects.toThrow(UnavailableError);
  clock.advance(2_000);
  await expect(say()).rejects.toThrow(UnavailableError);
  expect(rested).toEqual([]);

  connection.driver.pragma('max_page_count = 1000000');
  const later = await engine.trigger({ action: 'p.A', input: {} });
  for (let isSaid = false; !isSaid; clock.advance(1_000)) {
    isSaid = await say().then(
      () => true,
      () => false,
    );
  }
  expect(rested).toEqual([{ id: plan, state: 'stopped', result: 'success' }]);
  expect(tokens.map(({ token }) => token.plan)).toContain(later.plan);
});
