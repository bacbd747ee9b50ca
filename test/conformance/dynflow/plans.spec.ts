import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import type { PlanNode, PlanView } from '@dynflow/contracts';
import type { StoredPlan } from '@dynflow/engine';
import { openDatabase, type Database } from '@dynflow/persistence';
import { EngineWorld } from '@dynflow/testing/engine';
import { breakable, child, concurrence, outputOf, present, sequence, threeSteps } from './stories.js';

/** A plan with three levels, references, a finalize phase and a failed step, made by the engine and put into a database. */
async function storedStory(): Promise<{ database: Database; made: StoredPlan; stored: StoredPlan; view: PlanView }> {
  const { world, broken, declare } = breakable();
  declare('demo.A', { finalize: { kind: 'run' } });
  declare('demo.B');
  world.actions.composite('demo.Inner', [child('demo.A', {}, { as: 'a' }), child('demo.B', { got: outputOf('a', 'run') })]);
  world.actions.composite('demo.Root', [child('demo.Inner'), child('demo.Inner')]);
  broken.add('demo.B run');
  const plan = await world.trigger('demo.Root', {}, { label: 'Twice' });
  while (world.tokens.length > 0) {
    const held = await world.claim();
    await world.advance(250);
    await world.performStep(held);
  }
  await world.advance(1_000);
  const made = present(world.store.read(plan));
  const database = await openDatabase({ url: 'sqlite::memory:' });
  const { plan: row, actions, steps } = made;
  await database.plans.commit({ newPlans: [row], newActions: actions, newSteps: steps, plans: [], actions: [], steps: [], chunks: [] });
  const [view] = await database.reader.plans([plan]);
  return { database, made, stored: present(await database.plans.load(plan)), view: present(view) };
}

describe('a stored plan', () => {
  let story: Awaited<ReturnType<typeof storedStory>>;
  beforeAll(async () => {
    story = await storedStory();
  });
  afterAll(() => story.database.close());

  it('EP1: loads under its id, with all of its rows', () => {
    expect(story.stored.plan.id).toBe(story.made.plan.id);
    expect(story.stored.plan.stepCount).toBe(story.stored.steps.length);
  });

  it('EP2: keeps its label', () => {
    expect(story.view.label).toBe('Twice');
  });

  it('EP3: keeps its root plan step', () => {
    expect(story.view.rootPlanStepId).toBe(1);
    expect(story.view.steps[0]).toMatchObject({ id: 1, kind: 'plan', state: 'success', action: 1 });
  });

  it('EP4: keeps the ids of its steps, in order', () => {
    expect(story.view.stepIds).toEqual(story.made.steps.map(({ id }) => id));
    expect(story.view.stepIds).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].slice(0, story.made.plan.stepCount));
  });

  it('EP5: keeps every attribute of every step', () => {
    expect(story.stored.steps).toEqual(story.made.steps);
  });

  it('EP6: keeps its run flow', () => {
    expect(story.view.runFlow).toEqual(['C', ['S', 4, 7], ['S', 10, 13]]);
  });

  it('EP33: gives every step an action to be shown with', () => {
    const names = new Map(story.view.actions.map(({ id, name }) => [id, name]));
    expect(story.view.steps.map(({ action }) => names.get(action))).toEqual([
      'demo.Root',
      ...['demo.Inner', 'demo.A', 'demo.A', 'demo.A', 'demo.B', 'demo.B'],
      ...['demo.Inner', 'demo.A', 'demo.A', 'demo.A', 'demo.B', 'demo.B'],
    ]);
  });

  it('EP34: keeps the name of an error that nothing here knows', () => {
    expect(story.stored.steps.find(({ state }) => state === 'error')?.error?.errorClass).toBe('Broken');
  });

  it('EP35: shows the error with that name', () => {
    expect(story.view.steps.find(({ state }) => state === 'error')?.error).toMatchObject({
      errorClass: 'Broken',
      message: 'demo.B is broken',
    });
  });
});

describe('a stored plan whose steps are gone', () => {
  let database: Database;
  let made: StoredPlan;
  let view: PlanView;
  let faults: readonly string[];
  let refusal: Error;
  beforeAll(async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.C run');
    const plan = await world.trigger('demo.Root');
    await world.advance(500);
    await world.runAll();
    made = present(world.store.read(plan));
    const whole = made;
    world.store.load = () => structuredClone({ ...whole, steps: [] });
    refusal = await world
      .ask((engine) => engine.resume(plan))
      .then(
        () => new Error('it was resumed'),
        (error: unknown) => error as Error,
      );
    world.store.loadUnfinished = () => [structuredClone({ ...whole, plan: { ...whole.plan, state: 'running' as const }, steps: [] })];
    await world.restart();
    faults = world.faults;
    database = await openDatabase({ url: 'sqlite::memory:' });
    const stopped = { ...made.plan, state: 'stopped', endedAtMs: present(made.plan.startedAtMs) + 700, executionTimeMs: 30 } as const;
    await database.plans.commit({ newPlans: [stopped], newActions: [], newSteps: [], plans: [], actions: [], steps: [], chunks: [] });
    view = present((await database.reader.plans([plan]))[0]);
  });
  afterAll(() => database.close());

  it('EP7: is not gone on with, and named', () => {
    expect(faults).toEqual([`the plan ${made.plan.id} could not be read`]);
  });

  it('EP8: is refused since its data do not fit together', () => {
    expect(refusal).toMatchObject({ code: 'DYN_PLAN_INCONSISTENT' });
    expect(refusal.message).toContain('7 steps');
  });

  it('EP9: still shows label, state, start and end', () => {
    expect(view).toMatchObject({
      label: 'demo.Root',
      state: 'stopped',
      startedAtMs: made.plan.startedAtMs,
      endedAtMs: present(made.plan.startedAtMs) + 700,
    });
  });

  it('EP10: still shows execution and real time', () => {
    expect({ execution: view.executionTimeMs, real: view.realTimeMs }).toEqual({ execution: 30, real: 700 });
  });

  it('EP11: still shows its history', () => {
    expect(view.history.map(({ name }) => name)).toEqual(['start execution', 'pause execution']);
  });
});

describe('labels and ids', () => {
  it('EP12: the label is the name of the root action', async () => {
    const { world } = threeSteps();
    expect(world.plan(await world.trigger('demo.Root')).row.label).toBe('demo.Root');
  });

  it('EP13: the trigger may give another label', async () => {
    const { world } = threeSteps();
    expect(world.plan(await world.trigger('demo.Root', {}, { label: 'Three things' })).row.label).toBe('Three things');
  });

  it('EP18: a plan is not among its own sub-plans', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    expect(world.plan(plan).row.callerPlan).toBeNull();
    expect(world.plans.filter(({ row }) => row.callerPlan === plan)).toEqual([]);
  });

  it('EP20: an action knows its plan, run and finalize step', async () => {
    const { world } = threeSteps({ finalize: true });
    const plan = world.plan(await world.trigger('demo.Root'));
    expect(plan.action(2)).toMatchObject({ planStep: 2, runStep: 3, finalizeStep: 4 });
    expect(plan.action(1)).toMatchObject({ planStep: 1, runStep: null, finalizeStep: null });
  });

  it('EP21: the caller may choose the id', async () => {
    const { world } = threeSteps();
    expect(await world.trigger('demo.Root', {}, { id: 'mine' })).toBe('mine');
    expect(world.plan('mine').state).toBe('running');
  });
});

describe('the result of a plan', () => {
  it('EP14: is error when its planning failed', async () => {
    const { world } = threeSteps();
    world.actions.composite('demo.Bad', [child('demo.Gone')]);
    const plan = world.plan(await world.trigger('demo.Bad'));
    expect(plan.step(1)).toMatchObject({ kind: 'plan', state: 'error' });
    expect(plan.result).toBe('error');
  });

  it('EP15: is error when a run step failed', async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.A run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).result).toBe('error');
  });

  it('EP16: is pending while a run step is', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    await world.finish(await world.claim());
    expect(world.plan(plan).states).toContain('success');
    expect(world.plan(plan).result).toBe('pending');
  });

  it('EP17: is warning when one was skipped and the others succeeded', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Skip' });
    broken.add('demo.A run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).states.filter((state) => state !== 'success')).toEqual(['skipped']);
    expect(world.plan(plan).result).toBe('warning');
  });
});

describe('the shape of a plan', () => {
  function shapes(): EngineWorld {
    const { world, declare } = breakable();
    for (const name of ['demo.A', 'demo.B', 'demo.C', 'demo.D']) {
      declare(name);
    }
    return world;
  }

  it('EP19: its plan steps reflect how actions were nested', async () => {
    const world = shapes();
    world.actions.composite('demo.Inner', [child('demo.A'), child('demo.B')]);
    world.actions.composite('demo.Root', [child('demo.Inner'), child('demo.C')]);
    const { actions } = world.plan(await world.trigger('demo.Root'));
    expect(actions.map(({ id, name, callerAction }) => [id, name, callerAction])).toEqual([
      [1, 'demo.Root', null],
      [2, 'demo.Inner', 1],
      [3, 'demo.A', 2],
      [4, 'demo.B', 2],
      [5, 'demo.C', 1],
    ]);
  });

  it('EP22: references make sequences in a concurrence; what needs nothing stays parallel', async () => {
    const world = shapes();
    world.actions.composite('demo.Root', [
      child('demo.A', {}, { as: 'a' }),
      child('demo.B', {}, { as: 'b' }),
      child('demo.C', { needs: outputOf('a', 'x') }),
      child('demo.D', { needs: outputOf('b', 'y') }),
    ]);
    expect(world.plan(await world.trigger('demo.Root')).runFlow).toEqual(['C', ['S', 3, 7], ['S', 5, 9]]);
  });

  it('EP24: references are shown in inputs with the step and the path', async () => {
    const world = shapes();
    world.actions.composite('demo.Root', [child('demo.A', {}, { as: 'a' }), child('demo.B', { deep: [outputOf('a', 'x', 'y')] })]);
    const plan = await world.trigger('demo.Root');
    expect(world.plan(plan).action(3).input).toEqual({
      deep: [
        {
          class: 'Dynflow::ExecutionPlan::OutputReference',
          execution_plan_id: plan,
          step_id: 3,
          action_id: 2,
          subkeys: ['x', 'y'],
        },
      ],
    });
  });

  it('EP25: the first error ends planning; what would have come after it is not planned', async () => {
    const world = shapes();
    world.actions.composite('demo.Root', [child('demo.Gone'), child('demo.A')]);
    const plan = world.plan(await world.trigger('demo.Root'));
    expect(plan.actions.map(({ name }) => name)).toEqual(['demo.Root']);
    expect(plan.verdict).toBe('stopped/error');
  });

  it('EP26: who needs several follows a concurrence of just those', async () => {
    const world = shapes();
    world.actions.composite('demo.Root', [
      child('demo.A', {}, { as: 'a' }),
      child('demo.B', {}, { as: 'b' }),
      child('demo.C'),
      child('demo.D', { needs: [outputOf('a'), outputOf('b')] }),
    ]);
    expect(world.plan(await world.trigger('demo.Root')).runFlow).toEqual(['C', 7, ['S', ['C', 3, 5], 9]]);
  });

  it('EP27: written blocks make the same shape', async () => {
    const world = shapes();
    world.actions.composite('demo.Root', [
      concurrence(child('demo.C'), sequence(concurrence(child('demo.A'), child('demo.B')), child('demo.D'))),
    ]);
    expect(world.plan(await world.trigger('demo.Root')).runFlow).toEqual(['C', 3, ['S', ['C', 5, 7], 9]]);
  });

  it('EP30: finalize is one sequence in planning order, an action that plans itself last coming last', async () => {
    const { world, declare } = breakable();
    declare('demo.A', { finalize: { kind: 'run' } });
    declare('demo.Root', {
      run: false,
      finalize: { kind: 'run' },
      plan: { kind: 'data', nodes: [child('demo.A'), child('demo.A'), { kind: 'self' }] },
    });
    const plan = world.plan(await world.trigger('demo.Root'));
    expect(plan.finalizeFlow).toEqual(['S', 4, 7, 8]);
    expect(plan.action(1).finalizeStep).toBe(8);
  });
});

describe('cancel', () => {
  async function cancelled(force: boolean): Promise<{ world: EngineWorld; plan: string; told: number | null }> {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { cancellable: true });
    world.actions.executor('demo.B');
    world.actions.composite('demo.Root', [child('demo.A'), child('demo.A'), child('demo.B')]);
    const plan = await world.trigger('demo.Root');
    const held = [await world.claim(), await world.claim(), await world.claim()];
    const told = await world.ask((engine) => engine.cancel(plan, { force }));
    for (const each of held) {
      await world.finish(each);
    }
    return { world, plan, told };
  }

  it('EP31: answers for each step that can be cancelled, and the plan ends', async () => {
    const { world, plan, told } = await cancelled(false);
    expect(told).toBe(2);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('EP32: does the same with force, and says so to who runs them', async () => {
    const { world, plan, told } = await cancelled(true);
    expect(told).toBe(2);
    const events = world.told.flatMap(({ message }) => (message.type === 'step.event' ? [message.event] : []));
    expect(events).toEqual([
      { kind: 'cancel', force: true },
      { kind: 'cancel', force: true },
    ]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('subscribers', () => {
  const self = (input?: JsonObject): PlanNode => (input === undefined ? { kind: 'self' } : { kind: 'self', input });

  it('EP23: one that uses the output of its trigger follows it', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Trigger');
    world.actions.executor('demo.Audit', {
      subscribesTo: ['demo.Trigger'],
      plan: { kind: 'data', nodes: [self({ seen: { $output: 'trigger', path: ['answer'] } })] },
    });
    expect(world.plan(await world.trigger('demo.Trigger')).runFlow).toEqual(['S', 2, 4]);
  });

  it('EP28: those of a trigger without a run are parallel', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Trigger', { run: false });
    world.actions.executor('demo.One', { subscribesTo: ['demo.Trigger'] });
    world.actions.executor('demo.Two', { subscribesTo: ['demo.Trigger'] });
    const plan = world.plan(await world.trigger('demo.Trigger'));
    expect(plan.actions.map(({ name, runStep }) => [name, runStep])).toEqual([
      ['demo.Trigger', null],
      ['demo.One', 3],
      ['demo.Two', 5],
    ]);
    expect(plan.runFlow).toEqual(['C', 3, 5]);
  });

  it('EP29: one may have several triggers', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.First');
    world.actions.executor('demo.Second');
    world.actions.executor('demo.Audit', { subscribesTo: ['demo.First', 'demo.Second'] });
    for (const trigger of ['demo.First', 'demo.Second']) {
      expect(world.plan(await world.trigger(trigger)).actions.map(({ name }) => name)).toEqual([trigger, 'demo.Audit']);
    }
  });
});

describe('a singleton', () => {
  function singleton(): EngineWorld {
    const world = new EngineWorld();
    world.actions.executor('demo.Single', { singleton: true });
    return world;
  }

  it('EP36: is free again when its plan has stopped', async () => {
    const world = singleton();
    await world.trigger('demo.Single');
    await world.finish(await world.claim());
    expect(world.plan(await world.trigger('demo.Single')).state).toBe('running');
  });

  it('EP37: is free again when its plan has paused', async () => {
    const world = singleton();
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    expect(world.plan(first).verdict).toBe('paused/error');
    expect(world.plan(await world.trigger('demo.Single')).state).toBe('running');
  });
});
