import { describe, expect, it } from 'vitest';
import { EngineWorld } from '@dynflow/testing/engine';

describe('a plan made under one version of an action', () => {
  it('waits and says so while nobody serves that version, and goes on when somebody comes', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { version: 1 });
    world.actions.served.set('p.A', new Set([1]));
    const old = await world.trigger('p.A');
    world.actions.executor('p.A', { version: 2 });
    world.actions.served.set('p.A', new Set([2]));
    const fresh = await world.trigger('p.A');
    await world.ask((engine) => engine.servedChanged('p'));

    expect(world.plan(old).step(2)).toMatchObject({ state: 'pending', waitingFor: 'an executor that serves p.A version 1 (served: 2)' });
    expect(world.plan(fresh).step(2).waitingFor).toBe('an executor of p with a free slot');
    expect(world.engine.readyTokens().map(({ token }) => token.plan)).toEqual([fresh]);
    await world.restart();
    expect(world.engine.readyTokens().map(({ token }) => token.plan)).toEqual([fresh]);

    world.actions.served.set('p.A', new Set([1, 2]));
    world.tokens.length = 0;
    await world.ask((engine) => engine.servedChanged('p'));
    expect(world.tokens.map(({ token }) => token.plan)).toEqual([old]);
    const held = await world.claim({ plan: old });
    expect(held.grant.actionVersion).toBe(1);
    await world.finish(held);
    expect(world.plan(old).verdict).toBe('stopped/success');
  });

  it('is refused to an executor of another version, and its token is for others', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { version: 1 });
    world.actions.isServedBy = ({ executor }) => executor === 'new';
    const plan = await world.trigger('p.A');
    const { token } = world.tokens[0]!;
    const refusal = await world.ask(async () => world.executor('p', 'old').claim(token));
    expect(refusal).toMatchObject({
      result: 'refused',
      reason: 'this executor does not serve version 1 of p.A',
      stillReady: { plugin: 'p', token: { plan } },
    });
    await world.finish(await world.claim({ executor: 'new' }));
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});
