import { beforeAll, describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { EngineWorld, type PlanRecord } from '@dynflow/testing/engine';
import { breakable, child, present, threeSteps } from './stories.js';

function simple(): EngineWorld {
  const world = new EngineWorld();
  world.actions.executor('demo.A', { chunksAs: 'lines' });
  return world;
}

describe('one step, once', () => {
  it('N2: what is stored as running is not granted again, nor after a restart', async () => {
    const world = simple();
    await world.trigger('demo.A');
    const [token] = world.tokens;
    await world.claim();
    const ask = (): Promise<unknown> => world.ask(async () => world.executor('demo', 'e2').claim(present(token).token));
    expect(await ask()).toMatchObject({ result: 'refused', reason: 'the step is running' });
    await world.restart();
    expect(await ask()).toMatchObject({ result: 'refused' });
  });

  it('N7: of two executors that want it at the same moment one gets it', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const { token } = present(world.tokens[0]);
    const answers = await world.ask(async () => Promise.all(['e1', 'e2'].map((id) => world.executor('demo', id).claim(token))));
    expect(answers.map((answer) => 'result' in answer)).toEqual([false, true]);
    expect(world.plan(plan).step(2).executor).toBe('e1');
  });

  it('N11: a report that comes twice is applied once, and output in its order', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    const report = await world.report(held, { kind: 'checkpoint', output: {} }, ['one ', 'two ']);
    await world.ask(async () => world.executor('demo').send(report));
    // The third message before the second: it waits for what is missing.
    const { claim, step, attempt } = held;
    const send = (seq: number): Promise<void> =>
      world.ask((engine) =>
        engine.output('demo', {
          type: 'output',
          version: 1,
          executor: 'e1',
          output: [{ claim, plan, step, attempt, chunks: [{ seq, kind: 'stdout', timestampMs: 0, text: `${seq} ` }] }],
        }),
      );
    await send(4);
    expect(world.text(plan)).toBe('one two ');
    await send(3);
    await send(4);
    expect(world.text(plan)).toBe('one two 3 4 ');
    expect(world.told.filter(({ message }) => message.type === 'applied')).toHaveLength(2);
  });
});

describe('events for a step that runs', () => {
  it('N3: are kept in their order until it suspends, and are given to its next run', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const first = await world.claim();
    world.executor('demo').isAway = true;
    for (const n of [1, 2, 3]) {
      expect(await world.ask((engine) => engine.sendEvent(plan, 2, { n }))).toBe(true);
    }
    await world.suspend(first);
    const second = await world.claim();
    expect(second.grant.events).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('N4: are dropped when it ends', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, { n: 1 }));
    expect(world.plan(plan).step(2).detail.events).toHaveLength(1);
    await world.finish(held);
    expect(world.plan(plan).step(2).detail.events).toBeUndefined();
    expect(await world.ask((engine) => engine.sendEvent(plan, 2, { n: 2 }))).toBe(false);
  });
});

describe('output', () => {
  it('N6: is readable in its order after a restart, and goes on behind it', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint' }, ['one ', 'two ']);
    await world.restart();
    await world.report(held, { kind: 'done', output: {} }, ['three']);
    expect(world.text(plan)).toBe('one two three');
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('a plan with thousands of children in one concurrence', () => {
  const COUNT = 3_000;
  let plan: PlanRecord;
  let readyAtOnce: number;
  beforeAll(async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    world.actions.composite(
      'demo.Wide',
      Array.from({ length: COUNT }, () => child('demo.A')),
    );
    const id = await world.trigger('demo.Wide');
    readyAtOnce = world.tokens.length;
    // One executor takes and ends them all in two turns.
    const held = await world.ask(async () => Promise.all(world.tokens.splice(0).map(({ token }) => world.executor('demo').claim(token))));
    await world.ask(async () =>
      Promise.all(held.flatMap((each) => ('result' in each ? [] : [world.executor('demo').report(each, { kind: 'done', output: {} })]))),
    );
    plan = world.plan(id);
  }, 60_000);

  it('N8: has all of them ready at once, and ends in success', () => {
    expect(readyAtOnce).toBe(COUNT);
    expect(plan.verdict).toBe('stopped/success');
    expect(plan.steps).toHaveLength(1 + 2 * COUNT);
  });
});

describe('queues', () => {
  it('N9: come from the action, else from who planned it, else they are the default', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Plain');
    world.actions.executor('demo.Fast', { queue: 'fast' });
    world.actions.executor('other.Plain');
    world.actions.composite(
      'demo.Root',
      ['demo.Plain', 'demo.Fast', 'other.Plain'].map((name) => child(name)),
      { queue: 'slow' },
    );
    await world.trigger('demo.Root');
    await world.trigger('demo.Plain');
    expect(world.tokens.map(({ plugin, queue }) => `${plugin} ${queue}`)).toEqual([
      'demo slow',
      'demo fast',
      'other default',
      'demo default',
    ]);
  });
});

describe('what cannot be committed', () => {
  it('N10: leaves nothing half done: no plan without its steps, no finalize without its plan', async () => {
    const { world, broken } = threeSteps({ finalize: true });
    world.store.failNextCommit();
    await expect(world.trigger('demo.Root', {}, { id: 'lost' })).rejects.toBeInstanceOf(UnavailableError);
    expect(world.store.planIds).toEqual([]);
    broken.add('demo.A finalize');
    await world.trigger('demo.Root', {}, { id: 'kept' });
    for (let count = 0; count < 3; count += 1) {
      await world.performStep(await world.claim());
    }
    const finalize = await world.claim();
    const before = world.plan('kept');
    world.store.failNextCommit();
    await expect(world.fail(finalize)).rejects.toBeInstanceOf(UnavailableError);
    expect(world.plan('kept').row).toEqual(before.row);
    expect(world.plan('kept').steps).toEqual(before.steps);
  });
});
