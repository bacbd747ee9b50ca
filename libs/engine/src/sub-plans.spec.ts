import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import type { LocalEvent, SubPlanCounts, SubPlanRequest } from '@dynflow/contracts';
import { EngineWorld, done, failed, suspended } from '@dynflow/testing/engine';

interface Launch {
  world: EngineWorld;
  /** The counts that the caller was told, in order. */
  told: SubPlanCounts[];
  spawned: string[][];
}

/** `gw.Batch` spawns the children in its input and is done when all are over: success only if all succeeded. */
function launcher(): Launch {
  const world = new EngineWorld();
  const told: SubPlanCounts[] = [];
  const spawned: string[][] = [];
  world.actions.executor('demo.Child', { cancellable: true, abandonedOutput: { exit_status: 'EXCEPTION' } });
  world.actions.local('gw.Quick', () => done());
  world.actions.local(
    'gw.Batch',
    ({ event, input }) => {
      if (event === undefined) {
        const children = input['children'] as unknown as SubPlanRequest[];
        const limit = typeof input['limit'] === 'number' ? { concurrencyLimit: input['limit'] } : {};
        return suspended({ commands: [{ kind: 'spawn', children, ...limit }] });
      }
      if (event.kind === 'spawned') {
        spawned.push(event.plans);
      }
      if (event.kind !== 'subPlans') {
        return suspended();
      }
      told.push(event.counts);
      const { pending, failed: bad } = event.counts;
      return pending > 0 ? suspended() : bad > 0 ? failed(`${bad} failed`) : done({ ...event.counts });
    },
    { cancellable: true, rescueStrategy: 'Fail' },
  );
  return { world, told, spawned };
}

const children = (count: number, action = 'demo.Child'): SubPlanRequest[] =>
  Array.from({ length: count }, (_, index) => ({ id: `c${index + 1}`, action, input: { n: index + 1 } }));

const batch = (requests: SubPlanRequest[], more: JsonObject = {}): JsonObject => ({
  children: requests as unknown as JsonObject[],
  ...more,
});

const running = (world: EngineWorld): string[] =>
  world.plans.filter(({ state, row }) => state === 'running' && row.callerPlan !== null).map(({ row }) => row.id);

describe('sub-plans', () => {
  it('AC31 AC36 AC38 are made, run and counted; the caller ends when all have', async () => {
    const { world, told, spawned } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(2)));
    expect(spawned).toEqual([['c1', 'c2']]);
    expect(world.plan('c1').row).toMatchObject({ callerPlan: plan, callerAction: 1 });
    expect(world.plan('c1').action(1)).toMatchObject({ callerPlan: plan, callerAction: 1 });
    await world.runAll();
    expect(told).toMatchObject([
      { total: 2, pending: 1, success: 1, failed: 0 },
      { total: 2, pending: 0, success: 2, failed: 0 },
    ]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.engine.activePlans).toBe(0);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('AC39 are counted as failed when they stop or pause with an error', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(2)));
    await world.fail(await world.claim());
    await world.finish(await world.claim());
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 0, success: 1, failed: 1 });
    expect(world.plan('c1').verdict).toBe('paused/error');
    expect(world.plan(plan).verdict).toBe('stopped/error');
  });

  it('are committed together with their caller’s step that heard of them', async () => {
    const { world } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(3)));
    const spawning = world.store.commits.filter(({ newPlans }) => newPlans.some(({ id }) => id === 'c1'));
    expect(spawning).toHaveLength(1);
    expect(spawning[0]?.newPlans).toHaveLength(3);
    expect(spawning[0]?.steps).toMatchObject([{ plan, id: 2, state: 'suspended' }]);
  });

  it('that end in one turn are told once, with counts of all', async () => {
    const { world, told } = launcher();
    await world.trigger('gw.Batch', batch(children(5, 'gw.Quick')));
    expect(told).toMatchObject([{ total: 5, pending: 0, success: 5, failed: 0 }]);
  });

  it('CC17 that cannot be planned count as failed at once, also if nobody knows their action', async () => {
    const { world, told, spawned } = launcher();
    world.actions.composite('demo.Broken', [{ kind: 'action', action: 'demo.Gone', input: {} }]);
    const requests = [
      { id: 'a', action: 'demo.Broken', input: {} },
      { id: 'b', action: 'demo.Unknown', input: {} },
    ];
    const plan = await world.trigger('gw.Batch', batch(requests));
    expect(spawned).toEqual([['a', 'b']]);
    expect(told).toMatchObject([{ total: 2, pending: 0, success: 0, failed: 2 }]);
    expect(['a', 'b'].map((id) => world.plan(id).verdict)).toEqual(['stopped/error', 'stopped/error']);
    expect(world.plan('b').step(1).error).toMatchObject({ code: 'DYN_UNKNOWN_ACTION' });
    expect(world.plan(plan).verdict).toBe('stopped/error');
    await world.advance(60_000);
    expect(world.store.planIds).toHaveLength(3);
  });

  it('of an unknown action do not make their siblings again and again', async () => {
    const { world } = launcher();
    await world.trigger(
      'gw.Batch',
      batch([
        { action: 'demo.Child', input: {} },
        { action: 'demo.Unknown', input: {} },
      ]),
    );
    await world.advance(60_000);
    expect(world.store.planIds).toHaveLength(3);
    expect(world.tokens).toHaveLength(1);
  });

  it('that have been made are left alone when they are asked for again', async () => {
    const { world, spawned } = launcher();
    world.actions.local('gw.Twice', ({ event }) => {
      if (event?.kind === 'spawned') {
        spawned.push(event.plans);
      }
      const isAsking = event === undefined || event.kind === 'external';
      return suspended(isAsking ? { commands: [{ kind: 'spawn', children: children(2) }] } : {});
    });
    const plan = await world.trigger('gw.Twice');
    await world.ask((engine) => engine.sendEvent(plan, 2, 'again'));
    expect(spawned).toEqual([
      ['c1', 'c2'],
      ['c1', 'c2'],
    ]);
    expect(world.tokens).toHaveLength(2);
    await world.runAll();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'and when they are over'));
    expect(world.store.planIds).toEqual([plan, 'c1', 'c2']);
  });

  it('with the same id twice in one request are one', async () => {
    const { world } = launcher();
    for (const action of ['demo.Child', 'demo.Unknown']) {
      await world.trigger('gw.Batch', batch([action, action].map((name) => ({ id: `x-${action}`, action: name, input: {} }))));
    }
    expect(world.store.planIds).toHaveLength(4);
    expect(world.faults).toEqual([]);
  });

  it('are counted for the action that made them', async () => {
    const { world, told } = launcher();
    world.actions.composite('gw.Two', [
      { kind: 'action', action: 'gw.Batch', input: { children: [{ id: 'a', action: 'gw.Quick', input: {} }] } },
      {
        kind: 'action',
        action: 'gw.Batch',
        input: {
          children: [
            { id: 'b', action: 'demo.Child', input: {} },
            { id: 'c', action: 'gw.Quick', input: {} },
          ],
        },
      },
    ]);
    const plan = await world.trigger('gw.Two');
    await world.runAll();
    expect(told.toSorted((a, b) => a.total - b.total || b.pending - a.pending)).toMatchObject([
      { total: 1, pending: 0, success: 1, failed: 0 },
      { total: 2, pending: 1, success: 1, failed: 0 },
      { total: 2, pending: 0, success: 2, failed: 0 },
    ]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('of sub-plans tell each caller, also when all end in one turn', async () => {
    const { world, told } = launcher();
    const inner = (id: string): SubPlanRequest => ({
      id,
      action: 'gw.Batch',
      input: batch([{ id: `${id}-leaf`, action: 'demo.Child', input: {} }]),
    });
    const plan = await world.trigger('gw.Batch', batch([inner('i1'), inner('i2')]));
    const [a, b] = [await world.claim(), await world.claim()];
    const report = async ({ claim, plan: id, step, attempt }: typeof a): Promise<void> =>
      world.engine.report('demo', {
        type: 'report',
        version: 1,
        executor: 'e1',
        startId: 'start-1',
        reports: [{ claim, plan: id, step, attempt, number: 1, outcome: { kind: 'done', output: {} }, chunks: [] }],
      });
    await world.ask(async () => Promise.all([report(a), report(b)]));
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 0, success: 2, failed: 0 });
  });

  it('of sub-plans tell a caller a second time in one turn when more of them end by it', async () => {
    const { world } = launcher();
    // One child ends by itself, the other because its own child ended: both in the turn of one report.
    const requests: SubPlanRequest[] = [
      { id: 'direct', action: 'demo.Child', input: {} },
      { id: 'inner', action: 'gw.Batch', input: batch([{ id: 'leaf', action: 'demo.Child', input: {} }]) },
    ];
    const plan = await world.trigger('gw.Batch', batch(requests));
    const [first, second] = [await world.claim(), await world.claim()];
    const reports = [first, second].map(({ claim, plan: id, step, attempt }) => ({
      claim,
      plan: id,
      step,
      attempt,
      number: 1,
      outcome: { kind: 'done' as const, output: {} },
      chunks: [],
    }));
    await world.ask((engine) => engine.report('demo', { type: 'report', version: 1, executor: 'e1', startId: 'start-1', reports }));
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('a concurrency limit', () => {
  it('CC2 CC11 CC15 is never exceeded, and those that wait are planned', async () => {
    const { world } = launcher();
    await world.trigger('gw.Batch', batch(children(10), { limit: 4 }));
    expect(running(world)).toHaveLength(4);
    expect(world.plan('c5').verdict).toBe('planned/pending');
    let most = 0;
    while (world.tokens.length > 0) {
      most = Math.max(most, running(world).length);
      await world.finish(await world.claim());
    }
    expect(most).toBe(4);
    expect(world.plans.every(({ verdict }) => verdict === 'stopped/success')).toBe(true);
  });

  it('lets the next start in the order in which they were asked for', async () => {
    const { world } = launcher();
    await world.trigger('gw.Batch', batch(children(4), { limit: 1 }));
    const order: string[] = [];
    while (world.tokens.length > 0) {
      const held = await world.claim();
      order.push(held.plan);
      await world.finish(held);
    }
    expect(order).toEqual(['c1', 'c2', 'c3', 'c4']);
  });

  it('holds over a restart, whichever plans are read first', async () => {
    const { world, told } = launcher();
    await world.trigger('gw.Batch', batch(children(4), { limit: 1 }));
    // The first ends and the second runs, so that an older one does not stand before a younger.
    await world.finish(await world.claim());
    const held = await world.claim();
    world.store.loadUnfinished = () =>
      world.store.planIds.toReversed().flatMap((id) => {
        const stored = world.store.read(id);
        return stored === null || stored.plan.state === 'stopped' ? [] : [stored];
      });
    await world.restart();
    expect(running(world)).toEqual(['c2']);
    await world.finish(held);
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 4, pending: 0, success: 4, failed: 0 });
  });

  it('gives the place of a failed or abandoned one to the next', async () => {
    const { world } = launcher();
    await world.trigger('gw.Batch', batch(children(3), { limit: 1 }));
    await world.fail(await world.claim());
    expect(running(world)).toEqual(['c2']);
    await world.ask((engine) => engine.cancel('c2'));
    expect(running(world)).toEqual(['c3']);
  });

  it('counts a resumed one as running, and gives its place on once', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(3), { limit: 1 }));
    await world.fail(await world.claim());
    await world.ask((engine) => engine.resume('c1'));
    expect(running(world).toSorted()).toEqual(['c1', 'c2']);
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 3, pending: 0, success: 3, failed: 0 });
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.faults).toEqual([]);
  });

  it('is no matter of those that are still being planned', async () => {
    const { world, told } = launcher();
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.Child', input: {} }]);
    world.arePlannersAway = true;
    const plan = await world.trigger('gw.Batch', batch([...children(2), { id: 'asked', action: 'demo.Asked', input: {} }], { limit: 1 }));
    await world.finish(await world.claim());
    expect(world.plan('asked').state).toBe('planning');
    await world.finish(await world.claim());
    expect(told.at(-1)).toMatchObject({ total: 3, pending: 1, success: 2, failed: 0 });
    world.arePlannersAway = false;
    await world.advance(1_000);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.faults).toEqual([]);
  });

  it('does not stop the others when the planning of one fails', async () => {
    const { world, told } = launcher();
    world.actions.asked('demo.Asked', () => ({ error: { errorClass: 'PlanError', message: 'no', kind: 'final' } }));
    const plan = await world.trigger('gw.Batch', batch([{ id: 'asked', action: 'demo.Asked', input: {} }, ...children(2)], { limit: 1 }));
    await world.runAll();
    expect(world.plan('asked').verdict).toBe('stopped/error');
    expect(told.at(-1)).toMatchObject({ total: 3, pending: 0, success: 2, failed: 1 });
    expect(world.plan(plan).verdict).toBe('stopped/error');
  });
});

describe('cancelling a caller', () => {
  it('AC52 CC4 reaches its sub-plans: running, ready, and waiting for the limit', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(4), { limit: 2 }));
    const held = await world.claim();
    expect(await world.ask((engine) => engine.cancel(plan))).toBeGreaterThan(0);
    expect(held.events).toEqual([{ kind: 'cancel', force: false }]);
    expect(['c2', 'c3', 'c4'].map((id) => world.plan(id).verdict)).toEqual(['stopped/success', 'stopped/error', 'stopped/error']);
    expect(world.plan('c2').output()).toEqual({ exit_status: 'EXCEPTION' });
    expect(world.plan('c3').step(2).error).toMatchObject({ code: 'DYN_CANCELLED' });
    await world.finish(held);
    expect(told.at(-1)).toMatchObject({ total: 4, pending: 0, success: 2, failed: 0, cancelled: 2 });
    expect(world.plan(plan).state).toBe('stopped');
  });

  it('reaches the sub-plans of sub-plans', async () => {
    const { world } = launcher();
    const inner: SubPlanRequest = { id: 'inner', action: 'gw.Batch', input: batch([{ id: 'leaf', action: 'demo.Child', input: {} }]) };
    const plan = await world.trigger('gw.Batch', batch([inner]));
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan, { force: true }));
    expect(held.events).toEqual([{ kind: 'cancel', force: true }]);
  });

  it('reaches those that were on their way: they are made, and end', async () => {
    const { world } = launcher();
    world.store.isAsync = true;
    const triggered = world.begin((engine) => engine.trigger({ id: 'p', action: 'gw.Batch', input: batch(children(2)) }));
    // The plan's own commit is through and its sub-plans are being looked for when it is cancelled.
    const { existing } = world.store;
    const cancelled = new Promise<number | null>((resolve, reject) => {
      world.store.existing = async (ids) => {
        const found = await existing.call(world.store, ids);
        if (ids.includes('c1')) {
          world.engine.cancel('p').then(resolve, reject);
        }
        return found;
      };
    });
    await world.settle();
    await Promise.all([triggered, cancelled]);
    expect(['c1', 'c2'].map((id) => world.plan(id).verdict)).toEqual(['stopped/success', 'stopped/success']);
    expect(world.plan('p').state).toBe('stopped');
  });
});

describe('the counts of sub-plans', () => {
  it('go on after a restart', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(3)));
    await world.finish(await world.claim());
    await world.fail(await world.claim());
    await world.restart();
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 3, pending: 0, success: 1 + 1, failed: 1 });
    expect(world.plan(plan).state).toBe('stopped');
  });

  it('are right after a restart while a resumed one runs', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(2)));
    await world.fail(await world.claim());
    await world.ask((engine) => engine.resume('c1'));
    await world.restart();
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 0, success: 2, failed: 0 });
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('are right after a commit that failed', async () => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(2), { limit: 1 }));
    const held = await world.claim();
    world.store.failNextCommit();
    await expect(world.finish(held)).rejects.toThrow('the store is away');
    const [report] = world.executor('demo').unconfirmed.values();
    await world.ask(async () => world.executor('demo').send(report!));
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 1, success: 1, failed: 0 });
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 0, success: 2, failed: 0 });
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it.each([false, true])('are right after a restart whose first commit failed (written: %s)', async (isWritten) => {
    const { world, told } = launcher();
    const plan = await world.trigger('gw.Batch', batch(children(2), { limit: 1 }));
    world.store.failNextCommit(undefined, { isWritten });
    await expect(world.restart()).rejects.toThrow('the store is away');
    await world.advance(1_000);
    await world.runAll();
    expect(told.at(-1)).toMatchObject({ total: 2, pending: 0, success: 2, failed: 0 });
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('are right when one came to rest in a commit whose answer was lost, and so was that of the next', async () => {
    const { world } = launcher();
    world.actions.executor('demo.Other');
    const plan = await world.trigger('gw.Batch', batch([...children(1), { id: 'other', action: 'demo.Other', input: {} }], { limit: 1 }));
    world.store.failNextCommit(undefined, { isWritten: true });
    world.store.failNextCommit(undefined, { isWritten: true });
    await expect(world.ask((engine) => engine.cancel(plan))).rejects.toThrow('the store is away');
    expect(world.plan('c1').state).toBe('stopped');
    await world.advance(1_000);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toMatchObject({ total: 2, pending: 0, success: 1, failed: 0, cancelled: 1 });
  });

  it('are told to nobody when the caller is at rest', async () => {
    const { world } = launcher();
    world.actions.local('gw.Fire', ({ event }) =>
      event?.kind === 'spawned' ? done() : suspended({ commands: [{ kind: 'spawn', children: children(2) }] }),
    );
    const plan = await world.trigger('gw.Fire');
    expect(world.plan(plan).verdict).toBe('stopped/success');
    await world.runAll();
    expect(world.plan('c2').verdict).toBe('stopped/success');
    expect(world.engine.activePlans).toBe(0);
  });

  it('come after the news that the sub-plans are made', async () => {
    const { world } = launcher();
    const kinds: (LocalEvent['kind'] | undefined)[] = [];
    world.actions.local('gw.Kinds', ({ event }) => {
      kinds.push(event?.kind);
      return event === undefined
        ? suspended({ commands: [{ kind: 'spawn', children: children(1) }] })
        : event.kind === 'subPlans'
          ? done()
          : suspended();
    });
    await world.trigger('gw.Kinds');
    await world.runAll();
    expect(kinds).toEqual([undefined, 'spawned', 'subPlans']);
  });
});
