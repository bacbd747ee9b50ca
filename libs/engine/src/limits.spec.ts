import { describe, expect, it } from 'vitest';
import type { SubPlanRequest } from '@dynflow/contracts';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';

const perHost = { limits: [{ name: 'host', by: ['host'], concurrency: 2 }] };

/** What the run steps of these plans wait for; null: nothing. */
function waits(world: EngineWorld, plans: readonly string[]): (string | null)[] {
  return plans.map((plan) => world.plan(plan).step(2).waitingFor);
}

async function triggerAll(world: EngineWorld, count: number, input = { host: 'web1' }): Promise<string[]> {
  const plans: string[] = [];
  for (let index = 0; index < count; index += 1) {
    plans.push(await world.trigger('p.A', input));
  }
  return plans;
}

describe('a limit of concurrency', () => {
  it('lets so many steps of one value begin at once, and says what the others wait for', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', perHost);
    const plans = await triggerAll(world, 4);
    const other = await world.trigger('p.A', { host: 'web2' });

    const free = 'an executor of p with a free slot';
    const full = 'limit host=web1: 2 of 2 in use';
    expect(waits(world, [...plans, other])).toEqual([free, free, full, full, free]);
    expect(world.tokens.map(({ token }) => token.plan)).toEqual([plans[0], plans[1], other]);

    await world.finish(await world.claim({ plan: plans[1]! }));
    expect(waits(world, plans)).toEqual([free, null, free, full]);
    await world.runAll();
    expect(plans.map((plan) => world.plan(plan).verdict)).toEqual(plans.map(() => 'stopped/success'));
  });

  it('counts a parked step, and none that waits for its next retry', async () => {
    const world = new EngineWorld();
    const limits = [{ name: 'one', concurrency: 1 }];
    world.actions.executor('p.A', { limits, retry: { maxAttempts: 3, backoffMs: 1_000, jitter: 0 } });
    const [first, second] = await triggerAll(world, 2);
    await world.suspend(await world.claim());
    expect(waits(world, [second!])).toEqual(['limit one: 1 of 1 in use']);
    await world.ask((engine) => engine.sendEvent(first!, 2, 'go'));
    await world.fail(await world.claim({ plan: first! }), { kind: 'retryable' });
    const held = await world.claim({ plan: second! });
    await world.advance(1_000);
    expect(waits(world, [first!])).toEqual(['limit one: 1 of 1 in use']);
    await world.finish(held);
    await world.finish(await world.claim({ plan: first! }));
    expect(world.plan(first!).verdict).toBe('stopped/success');
  });

  it('takes all that a step needs at once, so that steps never wait for one another in a circle', async () => {
    const world = new EngineWorld();
    const a = { name: 'a', concurrency: 1 };
    const b = { name: 'b', concurrency: 1 };
    world.actions.executor('p.AB', { limits: [a, b] });
    world.actions.executor('p.BA', { limits: [b, a] });
    world.actions.executor('p.B', { limits: [b] });
    const plans = [await world.trigger('p.AB'), await world.trigger('p.BA'), await world.trigger('p.AB'), await world.trigger('p.B')];
    await world.runAll();
    expect(plans.map((plan) => world.plan(plan).verdict)).toEqual(plans.map(() => 'stopped/success'));
  });

  it('keeps nobody from passing whose own limit has room', async () => {
    const world = new EngineWorld();
    const both = { name: 'both', concurrency: 2 };
    world.actions.executor('p.Slow', { limits: [{ name: 'slow', concurrency: 1 }, both] });
    world.actions.executor('p.Fast', { limits: [both] });
    await world.trigger('p.Slow');
    const stuck = await world.trigger('p.Slow');
    const fast = await world.trigger('p.Fast');
    expect(waits(world, [stuck, fast])).toEqual(['limit slow: 1 of 1 in use', 'an executor of p with a free slot']);
  });

  it('goes by priority, then by turns between parents, then by age', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { limits: [{ name: 'one', concurrency: 1 }] });
    world.actions.local('gw.Batch', ({ event, input }) => {
      const children = input['children'] as unknown as SubPlanRequest[];
      return event?.kind === 'subPlans' && event.counts.pending === 0
        ? done()
        : suspended({ commands: event === undefined ? [{ kind: 'spawn', children }] : [] });
    });
    const children = (name: string): SubPlanRequest[] => [1, 2].map((index) => ({ id: `${name}${index}`, action: 'p.A', input: {} }));
    await world.trigger('p.A', {}, { id: 'busy' });
    await world.trigger('gw.Batch', { children: children('a') as never });
    await world.trigger('gw.Batch', { children: children('b') as never });
    await world.trigger('gw.Batch', { children: children('high') as never }, { priority: 1 });

    const order: string[] = [];
    while (world.tokens.length > 0) {
      const held = await world.claim();
      order.push(held.plan);
      await world.finish(held);
    }
    expect(order).toEqual(['busy', 'high1', 'high2', 'a1', 'b1', 'a2', 'b2']);
    expect(world.plan('high1').row.priority).toBe(1);
  });

  it('gives back what a cancelled, failed, skipped or halted step held', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { limits: [{ name: 'one', concurrency: 1 }], cancellable: true });
    const plans = await triggerAll(world, 5);
    await world.ask((engine) => engine.cancel(plans[0]!));
    await world.fail(await world.claim({ plan: plans[1]! }));
    await world.ask((engine) => engine.cancel(plans[2]!));
    await world.claim({ plan: plans[3]! });
    await world.ask((engine) => engine.halt(plans[3]!));
    await world.finish(await world.claim({ plan: plans[4]! }));
    expect(world.plan(plans[4]!).verdict).toBe('stopped/success');
  });

  it('of sub-plans is what they say that they wait for', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A');
    world.actions.local('gw.Batch', ({ event }) => {
      const children = ['c1', 'c2'].map((id) => ({ id, action: 'p.A', input: {} }));
      return suspended({ commands: event === undefined ? [{ kind: 'spawn', children, concurrencyLimit: 1 }] : [] });
    });
    await world.trigger('gw.Batch');
    expect(['c1', 'c2'].map((id) => world.plan(id).row.waitingFor)).toEqual([
      null,
      'a place among the sub-plans of its caller: at most 1 run at once',
    ]);
    await world.finish(await world.claim());
    expect(world.plan('c2').row.waitingFor).toBeNull();
  });

  it('holds for local actions', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.A', ({ event }) => (event?.kind === 'external' ? done() : suspended()), {
      limits: [{ name: 'one', concurrency: 1 }],
    });
    const first = await world.trigger('gw.A');
    const second = await world.trigger('gw.A');
    expect([first, second].map((plan) => world.plan(plan).step(2).state)).toEqual(['suspended', 'pending']);
    expect(await world.ask((engine) => engine.sendEvent(first, 2, 'go'))).toBe(true);
    expect(world.plan(second).step(2).state).toBe('suspended');
  });

  it('is not exceeded after a restart at any commit, nor when one fails', async () => {
    for (const what of ['restart', 'failure', 'lost answer'] as const) {
      for (let commit = 1; commit < 14; commit += 1) {
        const world = new EngineWorld();
        world.actions.executor('p.A', { ...perHost, idempotent: true });
        world.store.onCommit = (number) => {
          if (what === 'restart' && number === commit) {
            world.crash();
          } else if (what !== 'restart' && number === commit - 1) {
            world.store.failNextCommit(undefined, { isWritten: what === 'lost answer' });
          }
        };
        const ids = ['1', '2', '3', '4'];
        let most = 0;
        for (let round = 0; round < 40; round += 1) {
          try {
            for (const id of ids) {
              await world.trigger('p.A', { host: 'web1' }, { id });
            }
            if (world.tokens.length > 0) {
              await world.tryClaim();
            } else {
              for (const held of world.held) {
                await world.finish(held);
              }
              for (const report of world.executor('p').unconfirmed.values()) {
                await world.ask(async () => world.executor('p').send(report));
              }
              world.tokens.push(...world.engine.readyTokens());
            }
          } catch {
            if (world.isCrashed) {
              await world.restart();
            }
            await world.advance(1_000);
            // Whose grant was lost is not heard of again.
            const known = new Set(world.held.map(({ claim }) => claim));
            await world.ask((engine) => engine.executorLost('p', 'e1', (_, claim) => !known.has(claim)));
          }
          most = Math.max(most, world.plans.filter(({ steps }) => steps.some(({ state }) => state === 'running')).length);
        }
        expect({ what, commit, most, left: world.engine.activePlans }).toEqual({ what, commit, most: 2, left: 0 });
      }
    }
  });
});

describe('a limit of rate', () => {
  const rate = { limits: [{ name: 'api', rate: { count: 2, perMs: 60_000 } }] };

  it('lets so many steps begin within the time, counted from their claims', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', rate);
    const plans = await triggerAll(world, 5);
    expect(world.tokens).toHaveLength(2);
    await world.advance(600_000);
    // Nobody has begun, so nobody else may.
    expect(world.tokens).toHaveLength(2);
    await world.finish(await world.claim());
    await world.advance(20_000);
    await world.finish(await world.claim());
    expect(waits(world, plans.slice(2))[0]).toBe('limit api: 2 begun in 60 s');
    await world.advance(39_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    expect(world.tokens).toHaveLength(1);
    await world.claim();
    await world.advance(19_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    expect(world.tokens).toHaveLength(1);
  });

  it('says when the next one may begin', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', rate);
    await triggerAll(world, 2);
    await world.claim();
    await world.claim();
    const late = await world.trigger('p.A');
    expect(waits(world, [late])).toEqual(['limit api: 2 begun in 60 s; not before 2026-01-01T00:01:00.000Z']);
  });

  it('goes on counting over a restart, finished steps included', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', rate);
    await triggerAll(world, 3);
    await world.finish(await world.claim());
    await world.advance(30_000);
    await world.claim();
    await world.restart();
    world.tokens.length = 0;
    await world.advance(29_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    expect(world.tokens).toHaveLength(1);
  });
});
