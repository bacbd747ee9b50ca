import { beforeEach, describe, expect, it } from 'vitest';
import type { ReportV1 } from '@dynflow/contracts';
import { EngineWorld, type HeldStep } from '@dynflow/testing/engine';
import { present } from './stories.js';

const NOBODY = '00000000-0000-4000-8000-00000000dead';

describe('messages for nobody', () => {
  let world: EngineWorld;
  let plan: string;
  let held: HeldStep;
  beforeEach(async () => {
    world = new EngineWorld();
    world.actions.executor('demo.A');
    plan = await world.trigger('demo.A');
    held = await world.claim();
  });

  const report = (of: Partial<ReportV1['reports'][number]>): ReportV1 => ({
    type: 'report',
    version: 1,
    executor: held.executor,
    startId: 'start-1',
    reports: [
      { claim: held.claim, plan, step: held.step, attempt: 1, number: 1, outcome: { kind: 'done', output: {} }, chunks: [], ...of },
    ],
  });
  const send = (message: ReportV1, plugin = 'demo'): Promise<void> => world.ask((engine) => engine.report(plugin, message));
  const answers = (): string[] =>
    world.told.flatMap(({ message }) => (message.type === 'applied' ? message.reports.map(({ result }) => result) : []));

  it('DL1: are answered by an engine that knows nothing yet', async () => {
    const fresh = new EngineWorld();
    await fresh.ask((engine) => engine.report('demo', report({ plan: NOBODY })));
    expect(fresh.told.map(({ message }) => message)).toEqual([
      { type: 'applied', version: 1, reports: [{ claim: held.claim, number: 1, result: 'stale' }] },
    ]);
  });

  it('DL2: are dropped without a fault, whatever they are', async () => {
    await send(report({ plan: NOBODY }));
    await world.ask((engine) =>
      engine.output('demo', {
        type: 'output',
        version: 1,
        executor: 'e1',
        output: [{ claim: 'x', plan: NOBODY, step: 1, attempt: 1, chunks: [{ seq: 1, kind: 'stdout', timestampMs: 0, text: 'x' }] }],
      }),
    );
    expect(await world.ask((engine) => engine.sendEvent(NOBODY, 1, {}))).toBe(false);
    expect(await world.ask((engine) => engine.cancel(NOBODY))).toBeNull();
    expect(world.faults).toEqual([]);
    expect(world.store.planIds).toEqual([plan]);
  });

  it('DL3: are told from those that fit in plan, step and claim', async () => {
    await send(report({}));
    expect(answers()).toEqual(['applied']);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('DL4: are those of which anything differs', async () => {
    await send(report({ claim: 'another claim' }));
    await send(report({ step: 1 }));
    await send(report({ plan: NOBODY }));
    await send(report({}), 'other_plugin');
    expect(answers()).toEqual(['stale', 'stale', 'stale', 'stale']);
    expect(world.plan(plan).step(held.step).state).toBe('running');
  });

  it('DL5: are found out by looking at the step as it is now', async () => {
    await send(report({}));
    await send(report({ number: 2 }));
    expect(answers()).toEqual(['applied', 'stale']);
    expect(present(world.plan(plan).step(held.step)).state).toBe('success');
  });
});
