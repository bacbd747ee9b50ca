import { beforeEach, describe, expect, it } from 'vitest';
import { NotFoundError } from '@dynflow/kernel';
import type { SubPlanRequest } from '@dynflow/contracts';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';

let world: EngineWorld;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.A');
  world.actions.executor('demo.Fail', { rescueStrategy: 'Fail' });
  world.actions.composite('demo.Two', [
    {
      kind: 'sequence',
      nodes: [
        { kind: 'action', action: 'demo.A', input: {} },
        { kind: 'action', action: 'demo.A', input: {} },
      ],
    },
  ]);
});

const halt = async (plan: string, family = false): Promise<boolean> => world.ask((engine) => engine.halt(plan, { family }));

describe('halting a plan', () => {
  it('EX55: that runs, with a suspended step: it is stopped, the step still suspended', async () => {
    const plan = await world.trigger('demo.Two', {}, { sealedSecrets: 'sealed' });
    await world.suspend(await world.claim(), { at: 1 }, 60_000);
    await world.ask((engine) => engine.sendEvent(plan, 3, 'never heard'));
    expect(await halt(plan)).toBe(true);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
    expect(world.plan(plan).states).toEqual(['success', 'success', 'suspended', 'success', 'pending']);
    expect(world.plan(plan).step(3)).toMatchObject({ wakeAtMs: null, detail: { checkpoint: { at: 1 } } });
    expect(world.plan(plan).step(3).detail.events).toBeUndefined();
    expect(world.plan(plan).history).toEqual(['start execution', 'halt execution']);
    expect(world.plan(plan).row).toMatchObject({ endedAtMs: world.clock.now(), sealedSecrets: null, isHalted: true });
    expect(world.clock.pending).toBe(0);
    expect(world.engine.activePlans).toBe(0);
    expect(world.rested).toEqual([{ id: plan, state: 'stopped', result: 'halted' }]);
  });

  it('EX56: that is paused: it is stopped, the step still in error', async () => {
    const plan = await world.trigger('demo.A');
    await world.fail(await world.claim());
    expect(await halt(plan)).toBe(true);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
    expect(world.plan(plan).states).toEqual(['success', 'error']);
    expect(world.engine.activePlans).toBe(0);
  });

  it('EX57: that is planned: it is stopped, its steps still pending', async () => {
    await limited();
    expect(world.plan('second').state).toBe('planned');
    await halt('second');
    expect(world.plan('second').verdict).toBe('stopped/halted');
    expect(world.plan('second').states).toEqual(['success', 'pending']);
  });

  it('EX58: that is scheduled: it is stopped, its plan step still pending, nothing left to begin it', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: world.clock.now() + 1_000 } });
    await halt(plan);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
    expect(world.plan(plan).states).toEqual(['pending']);
    expect(world.clock.pending).toBe(0);
  });

  it('EX59: that is only pending: it is stopped', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true } });
    const { plan: row } = world.store.read(plan)!;
    world.crash();
    void world.store.commit({
      newPlans: [],
      newActions: [],
      newSteps: [],
      plans: [{ ...row, state: 'pending', schedule: null }],
      actions: [],
      steps: [],
      chunks: [],
    });
    await world.restart();
    expect(world.plan(plan).state).toBe('pending');
    await halt(plan);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
  });

  it('that waits for somebody to plan it: it is stopped, whatever comes later', async () => {
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.A', input: {} }]);
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Asked');
    await halt(plan);
    world.arePlannersAway = false;
    await world.advance(60_000);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
    expect(world.plan(plan).states).toEqual(['running']);
    expect(world.clock.pending).toBe(0);
  });

  it('with one failed and one suspended branch ends it, whatever the failed one says', async () => {
    world.actions.composite('demo.Both', [
      { kind: 'action', action: 'demo.A', input: {} },
      { kind: 'action', action: 'demo.A', input: {} },
    ]);
    const plan = await world.trigger('demo.Both');
    await world.fail(await world.claim());
    await world.suspend(await world.claim());
    await halt(plan);
    expect(world.plan(plan).verdict).toBe('stopped/halted');
  });

  it('tells those who run its steps to cancel by force, and takes nothing from them any more', async () => {
    const plan = await world.trigger('demo.Two');
    const held = await world.claim();
    await halt(plan);
    expect(held.events).toEqual([{ kind: 'cancel', force: true }]);
    expect(world.plan(plan).states).toEqual(['success', 'success', 'running', 'success', 'pending']);
    await world.finish(held, { late: true });
    expect(world.executor('demo').received.at(-1)).toMatchObject({ type: 'applied', reports: [{ claim: held.claim, result: 'stale' }] });
    expect(world.plan(plan).output(2)).toEqual({});
    expect(world.tokens).toEqual([]);
  });

  it('tells them again while they say that they hold it', async () => {
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await halt(plan);
    world.executor('demo').isAway = false;
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    expect(held.events).toEqual([{ kind: 'cancel', force: true }]);
    await world.finish(held);
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    expect(world.plan(plan).verdict).toBe('stopped/halted');
  });

  it('holds also for what is put in the same turn after it', async () => {
    const plan = await world.trigger('demo.Two');
    const held = await world.claim();
    const answers = [
      world.begin((engine) => engine.halt(plan)),
      world.begin(async () => world.executor('demo').report(held, { kind: 'done', output: {} })),
      world.begin((engine) => engine.sendEvent(plan, 3, 'x')),
      world.begin((engine) => engine.cancel(plan)),
    ];
    await world.settle();
    expect(await Promise.all(answers)).toMatchObject([true, {}, false, null]);
    expect(world.plan(plan).states).toEqual(['success', 'success', 'running', 'success', 'pending']);
  });

  it('cannot be taken back: it is not resumed, and not halted twice', async () => {
    const plan = await world.trigger('demo.A');
    await halt(plan);
    await expect(world.ask((engine) => engine.resume(plan))).rejects.toMatchObject({ code: 'DYN_PLAN_NOT_PAUSED' });
    expect(await halt(plan)).toBe(false);
    await expect(halt('nobody')).rejects.toThrow(NotFoundError);
  });

  it('EX60: keeps it from being executed, also after a restart', async () => {
    const plan = await world.trigger('demo.A');
    const [token] = world.tokens;
    await halt(plan);
    await world.restart();
    expect(await world.ask(async () => world.executor('demo').claim(token!.token))).toMatchObject({ result: 'refused' });
  });

  it('EX61: is stored: the plan is stopped for whoever looks', async () => {
    const plan = await world.trigger('demo.A');
    await halt(plan);
    await world.restart();
    expect(world.plan(plan).verdict).toBe('stopped/halted');
    expect(world.engine.activePlans).toBe(0);
  });

  it('EX62: leaves nothing behind that would keep other plans out', async () => {
    world.actions.executor('demo.Single', { singleton: true });
    await halt(await world.trigger('demo.Single'));
    expect(world.plan(await world.trigger('demo.Single')).state).toBe('running');
  });

  it('counts as a failure for its caller, and gives its place to the next', async () => {
    const parent = await limited();
    await halt('first');
    expect(world.plan('second').state).toBe('running');
    await world.runAll();
    expect(world.plan(parent).output()).toMatchObject({ total: 2, success: 1, failed: 1 });
  });

  it('that is paused and a sub-plan is counted once', async () => {
    const parent = await limited();
    await world.fail(await world.claim({ plan: 'first' }));
    await halt('first');
    await world.runAll();
    expect(world.plan(parent).output()).toMatchObject({ total: 2, success: 1, failed: 1 });
  });

  it('leaves its sub-plans alone', async () => {
    const parent = await limited();
    await halt(parent);
    await world.runAll();
    expect(['first', 'second'].map((id) => world.plan(id).verdict)).toEqual(['stopped/success', 'stopped/success']);
    expect(world.plan(parent).verdict).toBe('stopped/halted');
  });

  it('with its family ends them, too', async () => {
    const parent = await limited();
    await halt(parent, true);
    expect([parent, 'first', 'second'].map((id) => world.plan(id).verdict)).toEqual(['stopped/halted', 'stopped/halted', 'stopped/halted']);
    expect(world.engine.activePlans).toBe(0);
    expect(world.store.doubledRows).toEqual([]);
  });
});

describe('cancelling a plan that', () => {
  it('is paused stops it, as if it had been cancelled before it failed', async () => {
    const plan = await world.trigger('demo.Two');
    await world.fail(await world.claim());
    expect(world.plan(plan).state).toBe('paused');
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(0);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['start execution', 'pause execution', 'finish execution']);
    expect(world.rested.at(-1)).toEqual({ id: plan, state: 'stopped', result: 'error' });
  });

  it('waits to be planned ends it at once', async () => {
    world.actions.asked('demo.Asked', () => []);
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Asked');
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
    expect(world.plan(plan).verdict).toBe('stopped/cancelled');
    expect(world.plan(plan).history).toEqual(['planning cancelled']);
    await world.advance(60_000);
    expect(world.clock.pending).toBe(0);
  });

  it.each([false, true])('waits to be planned and has to tell its starter: by force (%s) at once', async (force) => {
    world.actions.asked('demo.Asked', () => []);
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Asked', {}, { isExternal: true });
    expect(await world.ask((engine) => engine.cancel(plan, { force }))).toBe(force ? 1 : 0);
    expect(world.plan(plan).verdict).toBe(force ? 'stopped/cancelled' : 'planning/pending');
  });

  it('is planned and has nothing that can be cancelled never begins it', async () => {
    await limited();
    expect(await world.ask((engine) => engine.cancel('second'))).toBe(1);
    expect(world.plan('second').verdict).toBe('stopped/error');
    expect(world.plan('second').step(2).error).toMatchObject({ code: 'DYN_CANCELLED' });
    await world.runAll();
    expect(world.plan('second').step(2).startedAtMs).toBeNull();
  });

  it('is held by force says so again until it is heard, also after a restart', async () => {
    world.actions.executor('demo.Cancellable', { cancellable: true });
    const plan = await world.trigger('demo.Cancellable');
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.cancel(plan, { force: true }));
    world.executor('demo').isAway = false;
    await world.restart();
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    expect(held.events).toEqual([{ kind: 'cancel', force: true }]);
  });
});

/** Two sub-plans under a limit of one: `first` runs, `second` is planned. @returns their caller. */
async function limited(): Promise<string> {
  const children: SubPlanRequest[] = ['first', 'second'].map((id) => ({ id, action: 'demo.A', input: {} }));
  world.actions.local('gw.Batch', ({ event }) => {
    if (event === undefined) {
      return suspended({ commands: [{ kind: 'spawn', children, concurrencyLimit: 1 }] });
    }
    return event.kind === 'subPlans' && event.counts.pending === 0 ? done({ ...event.counts }) : suspended();
  });
  return world.trigger('gw.Batch');
}
