import { describe, expect, it } from 'vitest';
import { EngineWorld, suspended, type ActionOptions } from '@dynflow/testing/engine';
import { planProgress, progressOfStep, sayProgress } from './progress.js';

const progress = (world: EngineWorld, plan: string): number => {
  const { row, actions, steps } = world.plan(plan);
  return planProgress(row.state, steps, (action) => {
    const name = actions[action - 1]?.name ?? '';
    return world.actions.declarationOf(name)?.progressWeights ?? { run: 1, finalize: 1 };
  });
};

async function running(options: ActionOptions = {}): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld();
  world.actions.executor('demo.A', options);
  return { world, plan: await world.trigger('demo.A') };
}

describe('progress of a plan', () => {
  it('is that of its one step: nothing, a half while that says nothing, what it says, all', async () => {
    const { world, plan } = await running();
    expect(progress(world, plan)).toBe(0);
    const held = await world.claim();
    expect(progress(world, plan)).toBe(0.5);
    await world.report(held, { kind: 'checkpoint', progress: 0.2 });
    expect(progress(world, plan)).toBe(0.2);
    await world.report(held, { kind: 'suspended', checkpoint: {}, waitingFor: 'more', progress: 0.7, wakeAfterMs: 10 });
    expect(progress(world, plan)).toBe(0.7);
    await world.advance(10);
    const again = await world.claim();
    expect(progress(world, plan)).toBe(0.7);
    await world.finish(again);
    expect(progress(world, plan)).toBe(1);
  });

  it('keeps the last value of a failed step, and of one that said 0', async () => {
    const { world, plan } = await running();
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', progress: 0 });
    await world.fail(held);
    expect(progress(world, plan)).toBe(0);
    await world.ask(async (engine) => engine.resume(plan));
    await world.claim();
    expect(progress(world, plan)).toBe(0);
  });

  it('survives a restart', async () => {
    const { world, plan } = await running();
    await world.report(await world.claim(), { kind: 'checkpoint', progress: 0.4 });
    await world.restart();
    expect(world.plan(plan).step(2).progress).toBe(0.4);
  });

  it('is weighted by action and phase', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Heavy', { finalize: { kind: 'run' }, progressWeights: { run: 6, finalize: 2 } });
    world.actions.executor('demo.Light', { progressWeights: { run: 2, finalize: 1 } });
    world.actions.composite('demo.Root', [
      { kind: 'action', action: 'demo.Heavy', input: {} },
      { kind: 'action', action: 'demo.Light', input: {} },
    ]);
    const plan = await world.trigger('demo.Root');
    await world.finish(await world.claim({ step: 6 }));
    expect(progress(world, plan)).toBe(0.2);
    await world.report(await world.claim({ step: 3 }), { kind: 'checkpoint', progress: 0.25 });
    expect(progress(world, plan)).toBe(0.35);
  });

  it.each([
    ['has no steps to run', { run: false }, 1],
    ['has no weights', { progressWeights: { run: 0, finalize: 0 } }, 0],
  ])('of one that %s', async (_what, options, expected) => {
    const { world, plan } = await running(options);
    expect(progress(world, plan)).toBe(expected);
  });

  it('of one that is not planned yet is 0', async () => {
    const world = new EngineWorld();
    world.actions.asked('demo.Asked', () => []);
    world.arePlannersAway = true;
    expect(progress(world, await world.trigger('demo.Asked'))).toBe(0);
  });

  it('may come from a local action', async () => {
    const world = new EngineWorld();
    const { outcome, commands } = suspended();
    world.actions.local('demo.Local', () => ({ commands, outcome: { ...outcome, progress: 0.9 } as typeof outcome }));
    expect(progress(world, await world.trigger('demo.Local'))).toBe(0.9);
  });
});

it('a step that begins anew has done nothing, and a skipped one is done', () => {
  expect([progressOfStep('pending', 0.8), progressOfStep('skipped', 0.1), progressOfStep('error', 0.3)]).toEqual([0, 1, 0.3]);
});

it.each([
  [Number.NaN, 0],
  [Number.POSITIVE_INFINITY, 0],
  [-1, 0],
  [2, 1],
])('what is no fraction counts as the nearest one: %s', (said, kept) => {
  const step = { progress: 0.5 } as Parameters<typeof sayProgress>[0];
  sayProgress(step, said);
  expect(step.progress).toBe(kept);
});

it('FE4: a plan that is scheduled has no progress, whatever is known of its steps', () => {
  const steps = [
    { kind: 'plan' as const, action: 1, progress: 0 },
    { kind: 'run' as const, action: 1, progress: 0.5 },
  ];
  const equal = (): { run: number; finalize: number } => ({ run: 1, finalize: 1 });
  expect(planProgress('scheduled', [], equal)).toBe(0);
  expect(planProgress('scheduled', steps, equal)).toBe(0);
  expect(planProgress('running', steps, equal)).toBe(0.5);
});
