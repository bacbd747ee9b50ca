import { beforeAll, describe, expect, it } from 'vitest';
import type { Changes } from '@dynflow/engine';
import { openDatabase } from '@dynflow/persistence';
import { definePlugin, definePollingAction } from '@dynflow/plugin';
import { EngineWorld, done, suspended, type PlanRecord } from '@dynflow/testing/engine';
import { PluginWorld } from '@dynflow/testing/plugin';
import { z } from 'zod';
import { breakable, child, concurrence, outputOf, present, sequence, threeSteps } from './stories.js';

/** Asks something that is to be refused. @returns the error. */
async function refusal(asked: Promise<unknown>): Promise<Error> {
  return asked.then(
    () => new Error('it was not refused'),
    (error: unknown) => error as Error,
  );
}

describe('the state of a plan', () => {
  it('EX1: is planned when it has its steps and may not begin yet', async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    const children = [1, 2].map((n) => ({ id: `c${n}`, action: 'demo.A', input: {} }));
    world.actions.local('gw.Batch', ({ event }) =>
      suspended(event === undefined ? { commands: [{ kind: 'spawn', children, concurrencyLimit: 1 }] } : {}),
    );
    await world.trigger('gw.Batch');
    expect(world.plan('c1').state).toBe('running');
    expect(world.plan('c2').verdict).toBe('planned/pending');
  });

  it('EX2: is stopped after success', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('EX3: is paused after a failure, and after a resume without a fix', async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.B run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
    await world.ask((engine) => engine.resume(plan));
    expect(world.plan(plan).state).toBe('running');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
  });

  it('EX4: is stopped after an error in planning', async () => {
    const { world } = threeSteps();
    world.actions.composite('demo.Bad', [child('demo.A'), child('demo.Gone')]);
    expect(world.plan(await world.trigger('demo.Bad')).verdict).toBe('stopped/error');
  });

  it('EX5: is stored as running while a step runs', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    await world.claim();
    expect(world.plan(plan).state).toBe('running');
  });

  it('EX6: the step is stored as running, with who runs it, before its input is answered', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    const states: string[] = [];
    world.store.onCommit = () => void states.push(world.plan(plan).step(3).state);
    const held = await world.claim();
    expect(held.step).toBe(3);
    expect(states).toEqual(['running']);
    expect(world.plan(plan).step(3)).toMatchObject({ state: 'running', executor: 'e1' });
  });

  it('EX7: what is executing cannot be executed', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    expect(await refusal(world.ask((engine) => engine.resume(plan)))).toMatchObject({ code: 'DYN_PLAN_NOT_PAUSED' });
  });

  it('EX25: a plan without steps to run succeeds', async () => {
    const world = new EngineWorld();
    world.actions.composite('demo.Nothing', []);
    expect(world.plan(await world.trigger('demo.Nothing')).verdict).toBe('stopped/success');
  });

  it('EX26: what has stopped cannot be executed', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(await refusal(world.ask((engine) => engine.resume(plan)))).toMatchObject({ code: 'DYN_PLAN_NOT_PAUSED' });
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('EX27: with nothing to run and something to finalize it succeeds', async () => {
    const { world, declare, ran } = breakable();
    declare('demo.A', { run: false, finalize: { kind: 'run' } });
    const plan = await world.trigger('demo.A');
    await world.runAll();
    expect(ran).toEqual(['demo.A finalize']);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('a plan that is deleted while it runs', () => {
  let world: EngineWorld;
  const writes: Changes[] = [];
  beforeAll(async () => {
    ({ world } = threeSteps());
    await world.trigger('demo.Root');
    const held = await world.claim();
    // What the store does when an operator has deleted the rows: changes find nothing to change, and there is nothing to read.
    world.store.load = () => null;
    world.store.commit = (changes) => {
      if (changes.plans.length + changes.steps.length > 0) {
        throw new Error('no row to change');
      }
      writes.push(changes);
    };
    await refusal(world.finish(held));
  });

  it('EX8: leaves memory', () => {
    expect(world.engine.activePlans).toBe(0);
  });

  it('EX9: is not written back, whatever comes for it', async () => {
    const [report] = world.executor('demo').unconfirmed.values();
    await world.ask(async () => world.executor('demo').send(present(report)));
    expect(writes).toEqual([]);
    expect(world.told.at(-1)?.message).toMatchObject({ type: 'applied', reports: [{ result: 'stale' }] });
  });
});

describe('a cancellable action', () => {
  function cancellable(): EngineWorld {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { cancellable: true });
    return world;
  }

  it('EX10: that is not cancelled ends as any other', async () => {
    const world = cancellable();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.finish(held, { progress: 100 });
    expect(held.events).toEqual([]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('EX11: that ends well when it is told keeps what it had got', async () => {
    const world = cancellable();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', output: { progress: 30 } });
    await world.ask((engine) => engine.cancel(plan));
    expect(held.events).toEqual([{ kind: 'cancel', force: false }]);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ progress: 30 });
  });

  it('EX12: may say in its output that it was cancelled', async () => {
    const world = cancellable();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.finish(held, { cancelled: held.events.some(({ kind }) => kind === 'cancel') });
    expect(world.plan(plan).output()).toEqual({ cancelled: true });
  });

  it('EX13: that fails when it is told ends in that error, with what it had got', async () => {
    const world = cancellable();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', output: { progress: 30 } });
    await world.ask((engine) => engine.cancel(plan));
    await world.fail(held, { message: 'the host does not let go' });
    expect(world.plan(plan).result).toBe('error');
    expect(world.plan(plan).state).toBe('stopped');
    expect(world.plan(plan).step(2).error?.message).toBe('the host does not let go');
    expect(world.plan(plan).output()).toEqual({ progress: 30 });
  });
});

describe('an action that waits', () => {
  it('EX14: and fails while it sets that up pauses its plan, with its run step in error', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.Setup', () => {
      throw new TypeError('nobody to wait for');
    });
    const plan = await world.trigger('gw.Setup');
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'error', error: { errorClass: 'TypeError', message: 'nobody to wait for' } });
  });

  it('EX15: for a time is seen waiting for it, and ends the plan when it has come', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.Wait', ({ event }) => (event?.kind === 'timer' ? done() : suspended({ wakeAfterMs: 500 })));
    const plan = await world.trigger('gw.Wait');
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', wakeAtMs: world.clock.now() + 500 });
    expect(world.clock.nextAtMs).toBe(world.clock.now() + 500);
    await world.advance(500);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('times', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.executor('demo.B');
    world.actions.composite('demo.Root', [sequence(child('demo.A'), child('demo.B'))]);
    const id = await world.trigger('demo.Root');
    const first = await world.claim();
    await world.advance(200);
    await world.suspend(first, {}, 5_000);
    await world.advance(5_000);
    const second = await world.claim();
    await world.advance(30);
    await world.finish(second);
    const other = await world.claim();
    await world.advance(7);
    await world.finish(other);
    plan = world.plan(id);
  });
  const lifeOf = ({ startedAtMs, endedAtMs }: { startedAtMs: number | null; endedAtMs: number | null }): number =>
    present(endedAtMs) - present(startedAtMs);

  it('EX17: a plan has a start and an end', () => {
    expect(lifeOf(plan.row)).toBe(5_237);
  });

  it('EX18: waiting is not execution', () => {
    expect(plan.row.executionTimeMs).toBe(237);
  });

  it('EX19: the execution time of a plan is the sum over its steps', () => {
    expect(plan.steps.map(({ executionTimeMs }) => executionTimeMs)).toEqual([0, 0, 230, 0, 7]);
    expect(plan.row.executionTimeMs).toBe(230 + 7);
  });

  it('EX20: of a plan step both times are the same', () => {
    expect(lifeOf(plan.step(1))).toBe(plan.step(1).executionTimeMs);
  });

  it('EX21: a run step that waits executes for less than it lives', () => {
    expect({ life: lifeOf(plan.step(3)), execution: plan.step(3).executionTimeMs }).toEqual({ life: 5_230, execution: 230 });
  });
});

describe('running and finalizing', () => {
  it('EX28: all run steps run, with outputs where inputs refer to them, and their outputs are stored', async () => {
    const { world, declare, ran } = breakable();
    declare('demo.A');
    declare('demo.B');
    world.actions.composite('demo.Root', [child('demo.A', { n: 1 }, { as: 'a' }), child('demo.B', { of: outputOf('a', 'input', 'n') })]);
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(ran).toEqual(['demo.A run', 'demo.B run']);
    expect(world.plan(plan).output(2)).toEqual({ run: 1, input: { n: 1 } });
    expect(world.plan(plan).output(3)).toEqual({ run: 1, input: { of: 1 } });
  });

  it('EX29: all finalize steps run after all run steps', async () => {
    const { world, ran } = threeSteps({ finalize: true });
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(ran).toEqual(['A run', 'B run', 'C run', 'A finalize', 'B finalize', 'C finalize'].map((name) => `demo.${name}`));
    expect(world.plan(plan).output(2)).toEqual({ run: 1, finalize: 1, input: {} });
  });

  it('EX30: no finalize step runs when a run step failed', async () => {
    const { world, broken, ran } = threeSteps({ finalize: true });
    broken.add('demo.C run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(ran).toEqual(['demo.A run', 'demo.B run', 'demo.C run']);
    expect(world.plan(plan).verdict).toBe('paused/error');
  });
});

describe('a failed run whose cause is fixed', () => {
  let plan: PlanRecord;
  let ran: readonly string[];
  beforeAll(async () => {
    const story = breakable();
    const { world, broken, declare } = story;
    for (const name of ['demo.A', 'demo.B', 'demo.C', 'demo.D']) {
      declare(name);
    }
    world.actions.composite('demo.Root', [
      child('demo.A', { word: { $input: ['word'] } }, { as: 'a' }),
      child('demo.B', { word: { $input: ['word'] } }, { as: 'b' }),
      child('demo.C', { copied: { $input: ['word'] }, referred: outputOf('b', 'input', 'word'), after: outputOf('a', 'run') }),
    ]);
    broken.add('demo.B run');
    const id = await world.trigger('demo.Root', { word: 'old' });
    await world.runAll();
    broken.clear();
    // The operator's fix: the stored input of the failed action.
    const [, , failed] = present(world.store.read(id)).actions;
    const fixed = { ...present(failed), input: { word: 'new' } };
    await world.store.commit({ newPlans: [], newActions: [], newSteps: [], plans: [], actions: [fixed], steps: [], chunks: [] });
    story.ran.length = 0;
    await world.ask((engine) => engine.resume(id));
    await world.runAll();
    plan = world.plan(id);
    ran = story.ran;
  });

  it('EX31: ends in success when it is resumed', () => {
    expect(plan.verdict).toBe('stopped/success');
  });

  it('EX32: runs only what failed, and what comes after it', () => {
    expect(ran).toEqual(['demo.B run', 'demo.C run']);
    expect(plan.output(2)).toMatchObject({ run: 1 });
    expect(plan.output(3)).toMatchObject({ run: 2 });
  });

  it('EX33: sees the fix where it refers, and the old value where it was copied', () => {
    expect(plan.output(4)['input']).toEqual({ copied: 'old', referred: 'new', after: 1 });
  });
});

describe('a failed finalize step', () => {
  let plan: PlanRecord;
  let ran: readonly string[];
  beforeAll(async () => {
    const story = threeSteps({ finalize: true });
    story.broken.add('demo.B finalize');
    const id = await story.world.trigger('demo.Root');
    await story.world.runAll();
    story.broken.clear();
    story.ran.length = 0;
    await story.world.ask((engine) => engine.resume(id));
    await story.world.runAll();
    plan = story.world.plan(id);
    ran = story.ran;
  });

  it('EX34: that is fixed lets the plan end in success', () => {
    expect(plan.verdict).toBe('stopped/success');
  });

  it('EX35: has the phase repeated as a whole, and no run step', () => {
    expect(ran).toEqual(['demo.A finalize', 'demo.B finalize', 'demo.C finalize']);
  });
});

describe('a skipped step', () => {
  let plan: PlanRecord;
  let ran: readonly string[];
  beforeAll(async () => {
    const story = breakable();
    const { world, broken, declare } = story;
    for (const name of ['demo.A', 'demo.B', 'demo.C']) {
      declare(name, { finalize: { kind: 'run' } });
    }
    world.actions.composite('demo.Root', [
      concurrence(child('demo.A', {}, { as: 'a' }), child('demo.C')),
      child('demo.B', { of: outputOf('a', 'run') }),
    ]);
    broken.add('demo.A run');
    const id = await world.trigger('demo.Root');
    await world.runAll();
    story.ran.length = 0;
    await world.ask((engine) => engine.skip(id, 3));
    await world.ask((engine) => engine.resume(id));
    await world.runAll();
    plan = world.plan(id);
    ran = story.ran;
  });
  const runStepOf = (action: number): number => present(plan.action(action).runStep);
  const finalizeStepOf = (action: number): number => present(plan.action(action).finalizeStep);

  it('EX36: lets the plan end in a warning, and does not run', () => {
    expect(plan.verdict).toBe('stopped/warning');
    expect(plan.step(runStepOf(2)).state).toBe('skipped');
    expect(ran).not.toContain('demo.A run');
  });

  it('EX37: has those that need its output skipped too, their references as they were', () => {
    expect(plan.action(4).name).toBe('demo.B');
    expect(plan.step(runStepOf(4)).state).toBe('skipped');
    expect(plan.action(4).input['of']).toMatchObject({ step_id: 3, subkeys: ['run'] });
  });

  it('EX38: has their finalize steps skipped, and no others', () => {
    expect([2, 3, 4].map((action) => plan.step(finalizeStepOf(action)).state)).toEqual(['skipped', 'success', 'skipped']);
    expect(ran).toEqual(['demo.C finalize']);
  });
});

describe('steps that wait for an executor', () => {
  const twoPlans = async (): Promise<{ world: EngineWorld; one: string; two: string }> => {
    const { world, declare } = breakable();
    declare('demo.A');
    world.actions.composite('demo.Root', [child('demo.A'), child('demo.A'), child('demo.A')]);
    return { world, one: await world.trigger('demo.Root'), two: await world.trigger('demo.A') };
  };

  it('EX44: are none when nothing was asked for', async () => {
    const world = new EngineWorld();
    expect(world.engine.readyTokens()).toEqual([]);
    await expect(world.claim()).rejects.toThrow('no token');
  });

  it('EX45: can be counted for one plan and for all', async () => {
    const { world, one } = await twoPlans();
    const waiting = world.engine.readyTokens();
    expect(waiting).toHaveLength(4);
    expect(waiting.filter(({ token }) => token.plan === one)).toHaveLength(3);
    await world.claim({ plan: one });
    expect(world.engine.readyTokens().filter(({ token }) => token.plan === one)).toHaveLength(2);
  });

  it('EX46: come first that were there first', async () => {
    const { world, one, two } = await twoPlans();
    const order = world.tokens.map(({ token }) => `${token.plan === one ? 'one' : 'two'}/${token.step}`);
    expect(order).toEqual(['one/3', 'one/5', 'one/7', 'two/2']);
    expect((await world.claim()).plan).toBe(one);
    expect(world.tokens.at(-1)?.token.plan).toBe(two);
  });
});

describe('progress', () => {
  /** As readers see it. */
  async function progressOf(world: EngineWorld, plan: string): Promise<number> {
    const { row, actions, steps } = world.plan(plan);
    const database = await openDatabase({ url: 'sqlite::memory:' });
    await database.plans.commit({
      newPlans: [row],
      newActions: [...actions],
      newSteps: [...steps],
      plans: [],
      actions: [],
      steps: [],
      chunks: [],
    });
    const [view] = await database.reader.plans([plan]);
    await database.close();
    return present(view).progress;
  }

  it('EX22: of a plan with one action is that of the action', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    await world.report(await world.claim(), { kind: 'checkpoint', progress: 0.2 });
    expect(await progressOf(world, plan)).toBeCloseTo(0.2);
  });

  it('EX23: counts each phase by its weight', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Heavy', { finalize: { kind: 'run' }, progressWeights: { run: 4, finalize: 2 } });
    world.actions.executor('demo.Light', { progressWeights: { run: 4, finalize: 1 } });
    world.actions.composite('demo.Root', [concurrence(child('demo.Heavy'), child('demo.Light'))]);
    const plan = await world.trigger('demo.Root');
    const heavy = await world.claim();
    const light = await world.claim();
    await world.report(heavy, { kind: 'checkpoint', progress: 0.05 });
    await world.finish(light);
    expect(await progressOf(world, plan)).toBeCloseTo((4 * 0.05 + 4 * 1) / (4 + 2 + 4));
  });
});

describe('a polling action', () => {
  async function polling(failsAt: number): Promise<PluginWorld> {
    let polls = 0;
    const Task = definePollingAction({
      name: 'Task',
      input: z.object({}),
      intervalsMs: [1_000],
      maxFailures: 1,
      invoke: () => Promise.resolve({ done: 0 }),
      poll: () => {
        polls += 1;
        return polls === failsAt ? Promise.reject(new Error('nobody answers')) : Promise.resolve({ done: polls });
      },
      isDone: (task) => (task as { done: number }).done >= 3,
    });
    return PluginWorld.start(
      definePlugin({ name: 'demo', version: '1', settings: { section: 'demo', schema: z.object({}) }, actions: [Task] }),
    );
  }

  it('EX16: polls until its task is done, and ends in success', async () => {
    const world = await polling(0);
    const plan = await world.run('demo.Task');
    expect(plan.verdict).toBe('stopped/success');
    expect(plan.output()['task']).toEqual({ done: 3 });
  });

  it('EX24: pauses its plan when a poll fails for good, and goes on to success when it is resumed', async () => {
    const world = await polling(2);
    const paused = await world.run('demo.Task');
    expect(paused.verdict).toBe('paused/error');
    const plan = await world.resume(paused.row.id);
    expect(plan.verdict).toBe('stopped/success');
    expect(plan.step(2).state).toBe('success');
  });
});
