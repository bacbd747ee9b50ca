import { describe, expect, it } from 'vitest';
import { loadGatewayConfig } from '@dynflow/platform';
import { EngineWorld, done } from '@dynflow/testing/engine';

/** What Rails' job queue and Dynflow's daemon are to Dynflow, plain launches and settings are here. */

describe('a launch', () => {
  it('AJ1: of an action that runs inside the gateway is done when it is answered', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.Add', ({ input }) => done({ sum: Number(input['a']) + Number(input['b']) }));
    const plan = await world.trigger('gw.Add', { a: 1, b: 2 });
    expect(world.store.commits).toHaveLength(1);
    expect(world.plan(plan).output()).toEqual({ sum: 3 });
  });

  it('AJ2: is a plan that comes to its end later', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Job');
    const plan = await world.trigger('demo.Job');
    expect(world.plan(plan).state).toBe('running');
    await world.runAll();
    expect(world.plan(plan).state).toBe('stopped');
  });

  it('AJ3: has the id that its caller knows it by', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Job');
    expect(await world.trigger('demo.Job', {}, { id: 'job-1' })).toBe('job-1');
    expect(world.store.planIds).toEqual(['job-1']);
  });

  it('AJ4: tells that id to the code that runs', async () => {
    const world = new EngineWorld();
    const seen: string[] = [];
    world.actions.executor('demo.Job', {}, (grant) => {
      seen.push(grant.plan);
      return { kind: 'done', output: {} };
    });
    await world.trigger('demo.Job', {}, { id: 'job-1' });
    await world.runAll();
    expect(seen).toEqual(['job-1']);
  });

  it('AJ6: for later is stored under that id', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Job');
    await world.trigger('demo.Job', {}, { id: 'job-1', schedule: { startAtMs: world.clock.now() + 60_000 } });
    expect(world.plan('job-1').state).toBe('scheduled');
  });

  it('AJ7: for later says when it is due, in UTC', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Job');
    await world.trigger('demo.Job', {}, { id: 'job-1', schedule: { startAtMs: Date.UTC(2026, 0, 2, 3, 4, 5) } });
    expect(world.plan('job-1').row.waitingFor).toBe('timer at 2026-01-02T03:04:05.000Z');
  });
});

describe('settings', () => {
  const loaded = async (env: Record<string, string>) =>
    (await loadGatewayConfig({ env: { DYNFLOW_PLUGINS: '', ...env }, loadPlugin: () => Promise.reject(new Error('none')) })).config;

  it('DA7: come from the environment', async () => {
    const { executor } = await loaded({ DYNFLOW_SLOTS: '7' });
    expect(executor.slots).toBe(7);
  });

  it('DA8: of sizes may have units', async () => {
    const { outputLimitBytes } = await loaded({ DYNFLOW_OUTPUT_LIMIT: '64MiB' });
    expect(outputLimitBytes).toBe(64 * 1_024 * 1_024);
  });
});
