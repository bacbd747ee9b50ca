import { beforeAll, describe, expect, it } from 'vitest';
import { EngineWorld, done, suspended, type HeldStep } from '@dynflow/testing/engine';
import type { OutcomeV1 } from '@dynflow/contracts';

/** An action that plans an event for itself, with or without a pause, and ends when it has come. */
async function planned(afterMs: number): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld();
  world.actions.local('gw.Ping', ({ event }) =>
    event?.kind === 'external' ? done({ said: event.data }) : suspended({ commands: [{ kind: 'planEvent', data: 'pong', afterMs }] }),
  );
  return { world, plan: await world.trigger('gw.Ping') };
}

describe('an event that an action plans for itself', () => {
  describe('for later', () => {
    let story: Awaited<ReturnType<typeof planned>>;
    let before: { timers: number; verdict: string; state: string; output: unknown };
    beforeAll(async () => {
      story = await planned(1_000);
      const { world, plan } = story;
      await world.advance(999);
      const record = world.plan(plan);
      before = { timers: world.clock.pending, verdict: record.verdict, state: record.step(2).state, output: record.output() };
      await world.advance(1);
    });

    it('AC13: with a time sets a timer', () => {
      expect(before.timers).toBe(1);
    });
    it('AC14: leaves the action suspended and without effect until then', () => {
      expect(before).toMatchObject({ state: 'suspended', output: {} });
    });
    it('AC15: arrives when its time has come', () => {
      expect(story.world.plan(story.plan).output()).toEqual({ said: 'pong' });
    });
    it('AC16: leaves no timer, and the action has succeeded', () => {
      expect({ timers: story.world.clock.pending, state: story.world.plan(story.plan).step(2).state }).toEqual({
        timers: 0,
        state: 'success',
      });
    });
  });

  it('AC17: without time sets no timer', async () => {
    const world = new EngineWorld();
    const timers: number[] = [];
    world.actions.local('gw.Ping', ({ event }) => {
      timers.push(world.clock.pending);
      return event === undefined ? suspended({ commands: [{ kind: 'planEvent', data: null, afterMs: 0 }] }) : done();
    });
    const { at } = world.clock;
    let made = 0;
    world.clock.at = (...asked) => {
      made += 1;
      return at.apply(world.clock, asked);
    };
    await world.trigger('gw.Ping');
    expect({ timers, made }).toEqual({ timers: [0, 0], made: 0 });
  });

  it('AC18: waits for the action to be suspended', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'suspended', checkpoint: {}, waitingFor: 'it', planEvents: [{ data: 'go', afterMs: 0 }] });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', detail: { events: [{ data: 'go' }] } });
    expect(world.tokens).toHaveLength(1);
  });

  it('AC19: completes the action when it is given', async () => {
    const { world, plan } = await planned(0);
    expect(world.plan(plan)).toMatchObject({ verdict: 'stopped/success' });
    expect(world.plan(plan).output()).toEqual({ said: 'pong' });
  });
});

describe('an event that an executor’s step plans', () => {
  const suspending = (planEvents: Extract<OutcomeV1, { kind: 'suspended' }>['planEvents']): OutcomeV1 => ({
    kind: 'suspended',
    checkpoint: { c: 1 },
    waitingFor: 'time',
    planEvents,
  });

  async function held(): Promise<{ world: EngineWorld; plan: string; step: HeldStep }> {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { resumable: true });
    const plan = await world.trigger('demo.A');
    return { world, plan, step: await world.claim() };
  }

  it('makes the next invocation, with the event', async () => {
    const { world, step } = await held();
    await world.report(step, suspending([{ data: { n: 1 }, afterMs: 500 }]));
    expect(world.tokens).toHaveLength(0);
    await world.advance(500);
    expect((await world.claim()).grant).toMatchObject({ checkpoint: { c: 1 }, events: [{ n: 1 }] });
  });

  it('comes also when something else has woken the step before, and while it is held', async () => {
    const { world, plan, step } = await held();
    await world.report(step, suspending([{ data: 'late', afterMs: 500 }]));
    await world.ask((engine) => engine.sendEvent(plan, 2, 'early'));
    const again = await world.claim();
    expect(again.grant.events).toEqual(['early']);
    await world.advance(500);
    expect(again.events).toMatchObject([{ kind: 'external', data: 'late' }]);
  });

  it('is planned while the run goes on, and outlives its executor and the engine', async () => {
    const { world, step } = await held();
    await world.report(step, { kind: 'checkpoint', planEvents: [{ data: 'late', afterMs: 500 }] });
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    await world.restart();
    await world.advance(500);
    expect((await world.claim()).grant.events).toEqual(['late']);
  });

  it('is given once, also after a restart at the moment when it is due', async () => {
    const { world, step } = await held();
    await world.report(step, suspending([{ data: 'once', afterMs: 500 }]));
    await world.advance(500);
    await world.restart();
    const again = await world.claim();
    expect(again.grant.events).toEqual(['once']);
    await world.suspend(again);
    await world.advance(10_000);
    expect(world.tokens.filter(({ token }) => token.attempt > 2)).toEqual([]);
  });

  it('is dropped when the step ends', async () => {
    const { world, plan, step } = await held();
    await world.report(step, { kind: 'checkpoint', planEvents: [{ data: 'late', afterMs: 500 }] });
    await world.finish(step);
    expect({ timers: world.clock.pending, detail: world.plan(plan).step(2).detail }).toEqual({ timers: 0, detail: {} });
  });

  it('comes when the store is back, if that was away at its moment', async () => {
    const { world, step } = await held();
    await world.report(step, suspending([{ data: 'late', afterMs: 500 }]));
    world.store.failNextCommit();
    await world.advance(500);
    await world.advance(1_000);
    expect((await world.claim()).grant.events).toEqual(['late']);
  });

  it('of a doubled report is planned once', async () => {
    const { world, step } = await held();
    const report = await world.report(step, suspending([{ data: 'once', afterMs: 500 }]));
    await world.ask((engine) => engine.report('demo', report));
    await world.advance(500);
    expect((await world.claim()).grant.events).toEqual(['once']);
  });
});
