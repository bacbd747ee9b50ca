import { describe, expect, it } from 'vitest';
import type { LimitDeclaration } from '@dynflow/contracts';
import { EngineWorld, suspended } from '@dynflow/testing/engine';

/** The places under the limit of an action's sub-plans: a caller with `count` of them, of which `limit` may run at once. */
async function places(count: number, limit?: number): Promise<{ world: EngineWorld; running(): string[]; waiting(): string[] }> {
  const world = new EngineWorld();
  world.actions.executor('demo.Child', { cancellable: true });
  const children = Array.from({ length: count }, (_, n) => ({ id: `c${n + 1}`, action: 'demo.Child', input: {} }));
  world.actions.local('gw.Caller', ({ event }) =>
    suspended(
      event === undefined ? { commands: [{ kind: 'spawn', children, ...(limit === undefined ? {} : { concurrencyLimit: limit }) }] } : {},
    ),
  );
  await world.trigger('gw.Caller');
  const inState = (state: string): string[] =>
    world.plans.filter(({ row }) => row.callerPlan !== null && row.state === state).map(({ row }) => row.id);
  return { world, running: () => inState('running'), waiting: () => inState('planned') };
}

describe('places under one limit', () => {
  it('SE1: are all free at first, and nobody waits', async () => {
    const { running, waiting } = await places(2, 2);
    expect(running()).toEqual(['c1', 'c2']);
    expect(waiting()).toEqual([]);
  });

  it('SE2: are fewer when some are taken', async () => {
    const { running, waiting } = await places(3, 2);
    expect(running()).toEqual(['c1', 'c2']);
    expect(waiting()).toEqual(['c3']);
  });

  it('SE3: can all be taken at once', async () => {
    const { running } = await places(5, 5);
    expect(running()).toHaveLength(5);
  });

  it('SE4: are free again when they are given back', async () => {
    const { world, running, waiting } = await places(5, 2);
    await world.finish(await world.claim());
    await world.finish(await world.claim());
    expect(running()).toEqual(['c3', 'c4']);
    expect(waiting()).toEqual(['c5']);
  });

  it('SE5: are stored: how many there are with each plan, who has ended with the caller; so they hold after a restart', async () => {
    const { world, running, waiting } = await places(4, 2);
    await world.finish(await world.claim());
    expect(world.plan('c4').row.concurrencyLimit).toBe(2);
    expect(world.plans[0]?.step(2).detail.subPlans).toMatchObject({ success: 1, failed: 0 });
    await world.restart();
    expect(running()).toEqual(['c2', 'c3']);
    expect(waiting()).toEqual(['c4']);
  });

  it('SE6: who finds one does not wait', async () => {
    const { world } = await places(1, 1);
    expect(world.tokens.map(({ token }) => token.plan)).toEqual(['c1']);
  });

  it('SE7: who finds none waits, without a token', async () => {
    const { world, waiting } = await places(2, 1);
    expect(waiting()).toEqual(['c2']);
    expect(world.tokens.map(({ token }) => token.plan)).toEqual(['c1']);
  });

  it('SE8: who came first is let in first', async () => {
    const { world } = await places(4, 1);
    const order: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const held = await world.claim();
      order.push(held.plan);
      await world.finish(held);
    }
    expect(order).toEqual(['c1', 'c2', 'c3', 'c4']);
  });

  it('SE9: without a limit there are as many as are asked for', async () => {
    const { running } = await places(50);
    expect(running()).toHaveLength(50);
  });

  it('SE10: without a limit nobody waits', async () => {
    const { waiting } = await places(50);
    expect(waiting()).toEqual([]);
  });
});

/** Steps that need a unit of a wide limit of 3 and of a tight one by host of 1 at once. */
const WIDE: LimitDeclaration = { name: 'wide', concurrency: 3 };
const TIGHT: LimitDeclaration = { name: 'host', by: ['host'], concurrency: 1 };

async function severalLimits(hosts: readonly string[]): Promise<{ world: EngineWorld; ready(): string[] }> {
  const world = new EngineWorld();
  world.actions.executor('demo.Both', { limits: [WIDE, TIGHT] });
  world.actions.executor('demo.Wide', { limits: [WIDE] });
  for (const [index, host] of hosts.entries()) {
    await world.trigger('demo.Both', { host }, { id: `${host}${index + 1}` });
  }
  return { world, ready: () => world.engine.readyTokens().map(({ token }) => token.plan) };
}

describe('several limits at once', () => {
  it('SE11: the tightest counts', async () => {
    const { ready } = await severalLimits(['a', 'a', 'a']);
    expect(ready()).toEqual(['a1']);
  });

  it('SE12: taking takes from each of them', async () => {
    const { world, ready } = await severalLimits(['a', 'b', 'c']);
    await world.trigger('demo.Wide', {}, { id: 'wide' });
    expect(ready()).toEqual(['a1', 'b2', 'c3']);
    expect(world.plan('wide').step(2).waitingFor).toBe('limit wide: 3 of 3 in use');
  });

  it('SE13: when one is used up nothing is taken of the others', async () => {
    const { world, ready } = await severalLimits(['a', 'a', 'a']);
    // Had those that wait for the host taken of the wide limit, it would be used up.
    await world.trigger('demo.Wide', {}, { id: 'wide' });
    expect(ready()).toEqual(['a1', 'wide']);
  });

  it('SE14: the end gives back to all of them', async () => {
    const { world, ready } = await severalLimits(['a', 'b', 'c', 'a']);
    await world.trigger('demo.Wide', {}, { id: 'wide' });
    await world.finish(await world.claim({ plan: 'a1' }));
    await world.finish(await world.claim({ plan: 'b2' }));
    expect(ready().toSorted()).toEqual(['a4', 'c3', 'wide']);
  });

  it('SE15: of one alone is given back what was taken of it alone', async () => {
    const { world, ready } = await severalLimits(['a', 'a']);
    await world.trigger('demo.Wide', {}, { id: 'wide' });
    await world.finish(await world.claim({ plan: 'wide' }));
    expect(ready()).toEqual(['a1']);
    expect(world.plan('a2').step(2).waitingFor).toBe('limit host=a: 1 of 1 in use');
  });

  it('SE16: all that each still has can be taken together', async () => {
    const { ready } = await severalLimits(['a', 'b', 'a', 'c', 'd']);
    expect(ready()).toEqual(['a1', 'b2', 'c4']);
  });
});
