import { describe, expect, it } from 'vitest';
import type { SubPlanRequest } from '@dynflow/contracts';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';
import type { HoldKeeper } from './ports.js';

/** Keeps the hold of new work as a database does. */
class Kept implements HoldKeeper {
  reason: string | null = null;
  load(): Promise<string | null> {
    return Promise.resolve(this.reason);
  }
  save(reason: string | null): Promise<void> {
    this.reason = reason;
    return Promise.resolve();
  }
}

function twoSteps(world: EngineWorld): void {
  world.actions.executor('p.A');
  world.actions.composite('p.Two', [{ kind: 'sequence', nodes: [1, 2].map(() => ({ kind: 'action', action: 'p.A', input: {} })) }]);
}

describe('a held plan', () => {
  it('begins nothing; what runs goes on and is recorded', async () => {
    const world = new EngineWorld();
    twoSteps(world);
    const plan = await world.trigger('p.Two');
    const held = await world.claim();
    expect(await world.ask((engine) => engine.hold({ reason: 'maintenance', plans: [plan] }))).toBe(1);
    await world.finish(held);

    expect(world.plan(plan).row).toMatchObject({ state: 'running', heldBecause: 'maintenance', waitingFor: 'operator: maintenance' });
    expect(
      world
        .plan(plan)
        .steps.filter(({ kind }) => kind === 'run')
        .map(({ state, waitingFor }) => [state, waitingFor]),
    ).toEqual([
      ['success', null],
      ['pending', 'operator: maintenance'],
    ]);
    expect(world.tokens).toEqual([]);
    expect(world.engine.holds).toEqual({ newWork: null, plans: 1 });

    await world.restart();
    expect(world.tokens).toEqual([]);
    expect(await world.ask((engine) => engine.release({ plans: [plan] }))).toBe(1);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).row.waitingFor).toBeNull();
  });

  it('takes back a step that nobody has claimed yet', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A');
    const plan = await world.trigger('p.A');
    await world.ask((engine) => engine.hold({ reason: 'why', plans: [plan] }));
    expect(await world.tryClaim()).toMatchObject({ result: 'refused' });
    expect(world.engine.readyTokens()).toEqual([]);
    await world.ask((engine) => engine.release());
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('holds its sub-plans, also those that it makes meanwhile', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A');
    world.actions.local('gw.Batch', ({ event, input }) => {
      if (event?.kind === 'subPlans' && event.counts.pending === 0) {
        return done();
      }
      const which = event === undefined ? 'first' : event.kind === 'external' ? 'second' : '';
      return suspended({ commands: which === '' ? [] : [{ kind: 'spawn', children: [input[which] as unknown as SubPlanRequest] }] });
    });
    const child = (id: string): object => ({ id, action: 'p.A', input: {} });
    const plan = await world.trigger('gw.Batch', { first: child('c1') as never, second: child('c2') as never });
    expect(await world.ask((engine) => engine.hold({ reason: 'why', plans: [plan] }))).toBe(2);
    await world.ask((engine) => engine.sendEvent(plan, 2, 'more'));
    expect([world.plan('c1').state, world.plan('c2').state]).toEqual(['running', 'planned']);
    expect(world.plan('c2').row.waitingFor).toBe('operator: why');
    await world.ask((engine) => engine.release({ plans: [plan] }));
    await world.runAll();
    expect(world.plans.map(({ verdict }) => verdict)).toEqual(['stopped/success', 'stopped/success', 'stopped/success']);
  });

  it('ends when it is cancelled, and still tells whoever started it', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { cancellable: true, abandonedOutput: { exit_status: 'EXCEPTION' } });
    world.actions.local('gw.Callback', ({ event }) =>
      event === undefined ? suspended({ commands: [{ kind: 'effect', name: 'post', payload: null }] }) : done(),
    );
    const nodes = ['p.A', 'gw.Callback'].map((action) => ({ kind: 'action' as const, action, input: {} }));
    world.actions.composite('p.Job', [{ kind: 'sequence', nodes }]);
    const plan = await world.trigger('p.Job', {}, { isExternal: true });
    await world.ask((engine) => engine.hold({ reason: 'why', plans: [plan] }));
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).state).toBe('stopped');
    expect(world.effects).toHaveLength(1);
  });

  it('keeps a retry and the step of a limit waiting, and nobody else', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { limits: [{ name: 'one', concurrency: 1 }], retry: { maxAttempts: 2, backoffMs: 1_000, jitter: 0 } });
    const first = await world.trigger('p.A');
    const second = await world.trigger('p.A');
    const third = await world.trigger('p.A');
    await world.ask((engine) => engine.hold({ reason: 'why', plans: [first, second] }));
    await world.finish(await world.claim({ plan: third }));
    expect(world.plan(third).verdict).toBe('stopped/success');
    await world.ask((engine) => engine.release({ plans: [first] }));
    await world.fail(await world.claim({ plan: first }), { kind: 'retryable' }).catch(async () => {
      await world.fail(await world.claim({ plan: first }), { kind: 'retryable' });
    });
    await world.ask((engine) => engine.hold({ reason: 'again', plans: [first] }));
    await world.advance(1_000);
    expect(world.plan(first).step(2)).toMatchObject({ state: 'suspended', waitingFor: 'operator: again' });
    await world.ask((engine) => engine.release());
    world.tokens.splice(0, world.tokens.length, ...world.engine.readyTokens());
    await world.runAll();
    expect([first, second].map((plan) => world.plan(plan).verdict)).toEqual(['stopped/success', 'stopped/success']);
  });
});

describe('a hold of new work', () => {
  it('lets no plan start, over restarts, and releases them by priority', async () => {
    const holds = new Kept();
    const world = new EngineWorld({ holds });
    twoSteps(world);
    const before = await world.trigger('p.Two');
    await world.ask((engine) => engine.hold({ reason: 'upgrade' }));
    const low = await world.trigger('p.A', {}, { priority: -1 });
    const plain = await world.trigger('p.A');
    const high = await world.trigger('p.A', {}, { priority: 9 });
    await world.runAll();
    expect(world.plan(before).verdict).toBe('stopped/success');
    expect([low, plain, high].map((plan) => world.plan(plan).row)).toMatchObject(
      [1, 2, 3].map(() => ({ state: 'planned', waitingFor: 'operator: upgrade' })),
    );
    await world.restart();
    await world.trigger('p.A', {}, { id: 'late' });
    expect(world.engine.holds).toEqual({ newWork: 'upgrade', plans: 4 });

    expect(await world.ask((engine) => engine.release())).toBe(4);
    expect(holds.reason).toBeNull();
    expect(world.tokens.map(({ token }) => token.plan)).toEqual([high, plain, 'late', low]);
    await world.runAll();
    expect(world.engine.activePlans).toBe(0);
  });

  it('does not keep a plan that is released by itself', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A');
    await world.ask((engine) => engine.hold({ reason: 'upgrade' }));
    const urgent = await world.trigger('p.A');
    const other = await world.trigger('p.A');
    expect(await world.ask((engine) => engine.release({ plans: [urgent] }))).toBe(1);
    await world.runAll();
    expect([urgent, other].map((plan) => world.plan(plan).verdict)).toEqual(['stopped/success', 'planned/pending']);
    expect(world.engine.holds).toEqual({ newWork: 'upgrade', plans: 1 });
  });

  it('does not keep a plan from being cancelled', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { cancellable: true });
    await world.ask((engine) => engine.hold({ reason: 'upgrade' }));
    const plan = await world.trigger('p.A');
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).state).toBe('stopped');
    expect(world.tokens).toEqual([]);
  });
});

describe('a start with everything held', () => {
  it('takes over what was unfinished and goes on with none of it until it is released', async () => {
    const world = new EngineWorld();
    twoSteps(world);
    world.actions.local('gw.Callback', ({ event }) =>
      event === undefined ? suspended({ commands: [{ kind: 'effect', name: 'post', payload: null }] }) : done(),
    );
    world.perform = () => new Promise(() => undefined);
    const ready = await world.trigger('p.A');
    const parked = await world.trigger('gw.Callback');
    expect(world.effects).toHaveLength(1);
    world.tokens.length = 0;
    await world.restart({ holdBecause: 'quarantine: an old backup' });

    expect(world.tokens).toEqual([]);
    expect(world.effects).toHaveLength(1);
    expect([ready, parked].map((plan) => world.plan(plan).row.waitingFor)).toEqual([1, 2].map(() => 'operator: quarantine: an old backup'));
    world.perform = () => null;
    await world.restart();
    expect(world.effects).toHaveLength(1);
    await world.ask((engine) => engine.release());
    await world.runAll();
    expect([ready, parked].map((plan) => world.plan(plan).verdict)).toEqual(['stopped/success', 'stopped/success']);
    expect(world.effects).toHaveLength(2);
  });
});
