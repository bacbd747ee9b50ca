import { EngineWorld } from '@dynflow/testing/engine';
import type { Schedule } from '@dynflow/contracts';
import { beforeEach, describe, expect, it } from 'vitest';

/* Dynflow asks its database every 15 s which delayed plans are ready; here a plan is begun the moment it is. */

const HOUR_MS = 3_600_000;

let world: EngineWorld;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.A');
});

/** A plan with this schedule, as it is when its gateway has been started again. */
async function found(schedule: Partial<Schedule>): Promise<string> {
  const plan = await world.trigger('demo.A', {}, { schedule });
  await world.restart();
  return world.plan(plan).state;
}

const inMs = (ms: number): number => world.clock.now() + ms;

describe('a delayed plan', () => {
  it('PE31: whose start has passed is ready', async () => {
    const startAtMs = inMs(1);
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs } });
    world.crash();
    world.clock.jump(HOUR_MS);
    await world.restart();
    expect(world.plan(plan).state).toBe('running');
  });

  it('PE32: whose start is to come is not', async () => {
    expect(await found({ startAtMs: inMs(HOUR_MS) })).toBe('scheduled');
  });

  it('PE33: whose deadline has passed is taken up, whatever else holds it', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true, startBeforeMs: inMs(1_000) } });
    world.crash();
    world.clock.jump(HOUR_MS);
    await world.restart();
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['delay', 'timeout']);
  });

  it('PE34: is begun in the order of the starts', async () => {
    const late = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(2_000) } });
    const early = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    await world.advance(HOUR_MS);
    const begun = world.store.commits.flatMap(({ plans }) => plans.filter(({ state }) => state === 'running').map(({ id }) => id));
    expect([...new Set(begun)]).toEqual([early, late]);
    expect([early, late].map((plan) => world.plan(plan).state)).toEqual(['running', 'running']);
  });

  it('PE35: that is frozen is not ready', async () => {
    expect(await found({ isFrozen: true })).toBe('scheduled');
  });

  it('PE36: without a start is', async () => {
    expect(await found({ startAtMs: null, startBeforeMs: inMs(HOUR_MS) })).toBe('running');
  });
});

describe('a plan that begins after others', () => {
  /** Two prerequisites, the second of which is ended or not. */
  async function after(isEnded: boolean, schedule: Partial<Schedule> = {}): Promise<string> {
    const first = await world.trigger('demo.A');
    const second = await world.trigger('demo.A');
    const plan = await world.trigger('demo.A', {}, { schedule: { ...schedule, after: [first, second] } });
    await world.finish(await world.claim({ plan: first }));
    if (isEnded) {
      await world.finish(await world.claim({ plan: second }));
    }
    return plan;
  }

  it('PE38: is not ready as long as one has not stopped', async () => {
    const plan = await after(false);
    await world.advance(HOUR_MS);
    expect(world.plan(plan).state).toBe('scheduled');
  });

  it('PE39: is when all have', async () => {
    const plan = await after(true);
    expect(world.plan(plan).state).toBe('running');
  });

  it('PE40: not while it is frozen', async () => {
    const plan = await after(true, { isFrozen: true });
    expect(world.plan(plan).state).toBe('scheduled');
  });

  it('PE41: nor before its start', async () => {
    const plan = await after(true, { startAtMs: inMs(HOUR_MS) });
    expect(world.plan(plan).state).toBe('scheduled');
    await world.advance(HOUR_MS);
    expect(world.plan(plan).state).toBe('running');
  });
});
