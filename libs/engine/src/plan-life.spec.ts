import { describe, expect, it } from 'vitest';
import { NotFoundError } from '@dynflow/kernel';
import type { PlanNode, RescueStrategy } from '@dynflow/contracts';
import { EngineWorld, done, failed } from '@dynflow/testing/engine';
import { PlanNotPausedError } from './plan-loader.js';
import { UnknownActionError } from './plan-expansion.js';

const child = (action: string, more: { as?: string; input?: PlanNode extends { input: infer I } ? I : never } = {}): PlanNode => ({
  kind: 'action',
  action,
  input: {},
  ...more,
});

/** Actions A, B, C in sequence below one root; each fails while its name is in `broken`. */
function threeSteps(options: { rescueStrategy?: RescueStrategy; finalize?: boolean } = {}): { world: EngineWorld; broken: Set<string> } {
  const world = new EngineWorld();
  const broken = new Set<string>();
  for (const name of ['demo.A', 'demo.B', 'demo.C']) {
    world.actions.executor(
      name,
      { rescueStrategy: options.rescueStrategy ?? 'Pause', finalize: { kind: options.finalize === true ? 'run' : 'none' } },
      (grant) =>
        broken.has(`${name}/${grant.phase}`)
          ? { kind: 'failed', error: { errorClass: 'Broken', message: `${name} is broken`, kind: 'final' } }
          : { kind: 'done', output: { [grant.phase]: grant.attempt } },
    );
  }
  world.actions.composite('demo.Root', [{ kind: 'sequence', nodes: ['demo.A', 'demo.B', 'demo.C'].map((name) => child(name)) }]);
  return { world, broken };
}

describe('one plan from trigger to its end', () => {
  it('EX2 DI1 runs a step on an executor and stops with success', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Greet');
    const plan = await world.trigger('demo.Greet', { name: 'Ada' });
    expect(world.plan(plan).verdict).toBe('running/pending');
    const held = await world.claim();
    expect(held.grant).toMatchObject({ phase: 'run', input: { name: 'Ada' }, attempt: 1, nextSeq: 1, events: [] });
    expect(world.plan(plan).states).toEqual(['success', 'running']);
    await world.finish(held, { greeting: 'hello' });
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ greeting: 'hello' });
    expect(world.plan(plan).history).toEqual(['start execution', 'finish execution']);
    expect(world.engine.activePlans).toBe(0);
    expect(world.rested).toEqual([{ id: plan, state: 'stopped', result: 'success' }]);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('EX5 EX6 stores plan and step as running while the step is executed', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    const held = await world.claim();
    expect(world.plan(plan).state).toBe('running');
    expect(world.plan(plan).step(held.step)).toMatchObject({ state: 'running', executor: 'e1' });
  });

  it('says what a ready step waits for', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    expect(world.plan(plan).steps.filter(({ waitingFor }) => waitingFor !== null)).toMatchObject([
      { id: world.tokens[0]?.token.step, waitingFor: 'an executor of demo with a free slot' },
    ]);
  });

  it('EX17 EX18 EX19 EX20 keeps times: real time from start to end, execution time only within invocations', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    await world.advance(1_000);
    const first = await world.claim();
    await world.advance(200);
    await world.suspend(first, {}, 5_000);
    await world.advance(5_000);
    const second = await world.claim();
    await world.advance(30);
    await world.finish(second);
    const { row, steps } = world.plan(plan);
    expect(row.endedAtMs! - row.startedAtMs!).toBe(6_230);
    expect(row.executionTimeMs).toBe(230);
    expect(steps[0]).toMatchObject({ kind: 'plan', executionTimeMs: 0 });
    expect(steps[1]!.endedAtMs! - steps[1]!.startedAtMs!).toBe(5_230);
    expect(steps[1]!.executionTimeMs).toBe(230);
  });

  it('never counts time backwards when the clock is put back', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    world.clock.jump(-3_600_000);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).step(2).executionTimeMs).toBe(0);
  });

  it('EX25 stops a plan without run and finalize steps at once', async () => {
    const world = new EngineWorld();
    world.actions.composite('demo.Nothing', []);
    const plan = await world.trigger('demo.Nothing');
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('refuses an action that nobody declares, and makes nothing', async () => {
    const world = new EngineWorld();
    await expect(world.trigger('demo.Nothing')).rejects.toBeInstanceOf(UnknownActionError);
    expect(world.store.planIds).toEqual([]);
  });

  it('EX4 EX26 records a plan whose planning failed: stopped with error, nothing to run', async () => {
    const world = new EngineWorld();
    world.actions.composite('demo.Root', [child('demo.Gone')]);
    const { plan, created, error } = await world.ask((engine) =>
      engine.trigger({ action: 'demo.Root', input: { a: 1 }, sealedSecrets: 'sealed' }),
    );
    expect(created).toBe(true);
    expect(error).toMatchObject({ code: 'DYN_UNKNOWN_ACTION' });
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(1).error).toEqual(error);
    expect(world.plan(plan).row.sealedSecrets).toBeNull();
    expect(world.tokens).toEqual([]);
    expect(world.rested).toEqual([{ id: plan, state: 'stopped', result: 'error' }]);
    expect(world.engine.activePlans).toBe(0);
  });
});

describe('the finalize phase', () => {
  it('EX29 runs after all run steps, one by one in planning order', async () => {
    const { world } = threeSteps({ finalize: true });
    const plan = await world.trigger('demo.Root');
    const phases: string[] = [];
    while (world.tokens.length > 0) {
      expect(world.tokens).toHaveLength(1);
      const held = await world.claim();
      phases.push(`${held.grant.action} ${held.grant.phase}`);
      await world.finish(held, { [held.grant.phase]: true });
    }
    expect(phases).toEqual(['A run', 'B run', 'C run', 'A finalize', 'B finalize', 'C finalize'].map((phase) => `demo.${phase}`));
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output(2)).toEqual({ run: true, finalize: true });
  });

  it('EX27 runs also when there is nothing to run', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { run: false, finalize: { kind: 'run' } });
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    expect(held.grant.phase).toBe('finalize');
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('EX30 does not begin when the run phase failed', async () => {
    const { world, broken } = threeSteps({ finalize: true });
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(
      world
        .plan(plan)
        .steps.filter(({ kind }) => kind === 'finalize')
        .map(({ state }) => state),
    ).toEqual(['pending', 'pending', 'pending']);
  });

  it('EX34 EX35 begins anew when a plan is resumed after it failed', async () => {
    const { world, broken } = threeSteps({ finalize: true });
    broken.add('demo.B/finalize');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
    broken.clear();
    await world.ask((engine) => engine.resume(plan));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect([2, 3, 4].map((action) => world.plan(plan).output(action)['finalize'])).toEqual([2, 2, 1]);
    expect([2, 3, 4].map((action) => world.plan(plan).output(action)['run'])).toEqual([1, 1, 1]);
  });

  it('can be decided by data: it fails unless the output is as said', async () => {
    const world = new EngineWorld();
    const finalize = { kind: 'failUnless', output: 'status', equals: 0, message: 'the script failed' } as const;
    world.actions.executor('demo.A', { finalize, rescueStrategy: 'Fail' }, ({ input }) => ({ kind: 'done', output: input }));
    const [good, bad, none] = [
      await world.trigger('demo.A', { status: 0 }),
      await world.trigger('demo.A', { status: 7 }),
      await world.trigger('demo.A'),
    ];
    await world.runAll();
    expect(world.plan(good).verdict).toBe('stopped/success');
    expect(world.plan(bad).verdict).toBe('stopped/error');
    expect(world.plan(bad).step(3).error).toEqual({ errorClass: 'FinalizeError', message: 'the script failed', kind: 'final' });
    expect(world.plan(none).verdict).toBe('stopped/error');
  });

  it('decided by data takes an output that is absent for null', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { finalize: { kind: 'failUnless', output: 'error', equals: null, message: 'there was an error' } });
    const plan = await world.trigger('demo.A');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('N8 decided by data for thousands of actions does not nest calls', async () => {
    const world = new EngineWorld();
    const count = 3_000;
    world.actions.local('demo.A', () => done(), { finalize: { kind: 'failUnless', output: 'x', equals: null, message: 'no' } });
    world.actions.composite(
      'demo.Root',
      Array.from({ length: count }, () => child('demo.A')),
    );
    const plan = await world.trigger('demo.Root');
    expect(world.faults).toEqual([]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).steps).toHaveLength(1 + 3 * count);
  });

  it('cannot suspend: a finalize step that tries fails in words', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { run: false, finalize: { kind: 'run' } });
    const plan = await world.trigger('demo.A');
    await world.suspend(await world.claim());
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(world.plan(plan).step(2).error?.message).toContain('finalize');
  });
});

describe('a failure', () => {
  it('lets parallel branches run to their end, and nothing behind it', async () => {
    const world = new EngineWorld();
    ['demo.A', 'demo.B', 'demo.C', 'demo.D'].forEach((name) => world.actions.executor(name));
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: [child('demo.A'), child('demo.B')] },
      { kind: 'sequence', nodes: [child('demo.C'), child('demo.D')] },
    ]);
    const plan = await world.trigger('demo.Root');
    const [a, c] = [await world.claim(), await world.claim()];
    await world.fail(a);
    expect(world.plan(plan).state).toBe('running');
    await world.finish(c);
    await world.finish(await world.claim());
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(
      world
        .plan(plan)
        .steps.filter(({ kind }) => kind === 'run')
        .map(({ state }) => state),
    ).toEqual(['error', 'pending', 'success', 'success']);
    expect(world.tokens).toEqual([]);
  });

  it('keeps what the step said: error and output', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { initialOutput: { status: null } });
    const plan = await world.trigger('demo.A');
    const error = { errorClass: 'SshError', message: 'no route to host', code: 'EHOSTUNREACH', kind: 'retryable' as const };
    await world.report(await world.claim(), { kind: 'failed', error, output: { status: 255 } }, ['no route\n']);
    expect(world.plan(plan).step(2).error).toEqual(error);
    expect(world.plan(plan).output()).toEqual({ status: 255 });
    expect(world.text(plan)).toBe('no route\n');
  });
});

describe('rescue', () => {
  it('RE19 RE20 Pause pauses', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Pause' });
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(world.plan(plan).history).toEqual(['start execution', 'pause execution']);
    expect(world.engine.activePlans).toBe(0);
  });

  it('RE21 RE23 Fail stops; what remains stays pending', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Fail' });
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['start execution', 'finish execution']);
    expect(world.plan(plan).states).toEqual(['success', 'success', 'success', 'success', 'error', 'success', 'pending']);
  });

  it('RE13 Skip in run skips the step and goes on', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Skip', finalize: true });
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/warning');
    expect(world.plan(plan).steps.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'plan success',
      ...['success', 'skipped', 'success'].flatMap((state) => ['plan success', `run ${state}`, `finalize ${state}`]),
    ]);
  });

  it('RE15 Skip in finalize keeps the run output and goes on', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Skip', finalize: true });
    broken.add('demo.B/finalize');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/warning');
    expect(world.plan(plan).output(3)).toEqual({ run: 1 });
    expect(world.plan(plan).output(4)).toEqual({ run: 1, finalize: 1 });
  });

  it('Skip skips every failure on its way', async () => {
    const { world, broken } = threeSteps({ rescueStrategy: 'Skip' });
    ['demo.A/run', 'demo.B/run', 'demo.C/run'].forEach((name) => broken.add(name));
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/warning');
  });

  it.each([
    ['Skip', 'Skip', 'stopped/warning'],
    ['Fail', 'Fail', 'stopped/error'],
    ['Skip', 'Fail', 'paused/error'],
    ['Skip', 'Pause', 'paused/error'],
    ['Fail', 'Pause', 'paused/error'],
  ] as [RescueStrategy, RescueStrategy, string][])('RE5 RE9 RE11 combines %s and %s to %s', async (first, second, verdict) => {
    const world = new EngineWorld();
    const broken = (): { kind: 'failed'; error: { errorClass: string; message: string; kind: 'final' } } => ({
      kind: 'failed',
      error: { errorClass: 'Broken', message: 'broken', kind: 'final' },
    });
    world.actions.executor('demo.A', { rescueStrategy: first }, broken);
    world.actions.executor('demo.B', { rescueStrategy: second }, broken);
    world.actions.composite('demo.Root', [child('demo.A'), child('demo.B')], { rescueStrategy: 'Pause' });
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(world.plan(plan).verdict).toBe(verdict);
  });

  it('runs a step that failed no second time because of an event in the same turn', async () => {
    const world = new EngineWorld();
    let runs = 0;
    world.actions.local('demo.Local', ({ event }) => {
      runs += 1;
      return event === undefined ? { outcome: { kind: 'suspended', checkpoint: {}, waitingFor: 'x' }, commands: [] } : failed('no');
    });
    world.actions.executor('demo.A');
    world.actions.composite('demo.Root', [child('demo.Local'), child('demo.A')]);
    const plan = await world.trigger('demo.Root');
    const local = world.plan(plan).steps.find(({ state }) => state === 'suspended')!;
    await world.ask(async (engine) => Promise.all([engine.sendEvent(plan, local.id, 1), engine.sendEvent(plan, local.id, 2)]));
    expect(runs).toBe(2);
    expect(world.plan(plan).step(local.id).state).toBe('error');
  });
});

describe('resume', () => {
  it('EX31 EX32 runs the failed step again and nothing that was done', async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    broken.clear();
    await world.ask((engine) => engine.resume(plan));
    expect(world.tokens.map(({ token }) => token.attempt)).toEqual([2]);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect([2, 3, 4].map((action) => world.plan(plan).output(action))).toEqual([{ run: 1 }, { run: 2 }, { run: 1 }]);
    expect(world.plan(plan).history).toEqual(['start execution', 'pause execution', 'start execution', 'finish execution']);
  });

  it('EX3 pauses again when nothing was fixed', async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.B/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    await world.ask((engine) => engine.resume(plan));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('paused/error');
  });

  it('EX7 EX26 is refused for plans that are not paused, and for unknown ones', async () => {
    const { world } = threeSteps();
    const plan = await world.trigger('demo.Root');
    await expect(world.ask((engine) => engine.resume(plan))).rejects.toBeInstanceOf(PlanNotPausedError);
    await world.runAll();
    await expect(world.ask((engine) => engine.resume(plan))).rejects.toThrow('stopped');
    await expect(world.ask((engine) => engine.resume('no-such-plan'))).rejects.toBeInstanceOf(NotFoundError);
    await expect(world.ask((engine) => engine.skip('no-such-plan', 1))).rejects.toBeInstanceOf(NotFoundError);
  });

  it('takes effect once when it is asked for twice at the same time', async () => {
    const { world, broken } = threeSteps();
    world.store.isAsync = true;
    broken.add('demo.A/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    const answers = await world.ask(async (engine) => Promise.allSettled([engine.resume(plan), engine.resume(plan)]));
    expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(world.tokens).toHaveLength(1);
  });
});

describe('skip', () => {
  /** A and B side by side, C needs A's output, D needs C's. */
  async function paused(): Promise<{ world: EngineWorld; plan: string; failedStep: number }> {
    const world = new EngineWorld();
    for (const name of ['demo.A', 'demo.B', 'demo.C', 'demo.D']) {
      world.actions.executor(name, { finalize: { kind: 'run' } }, ({ phase }) =>
        name === 'demo.A' && phase === 'run'
          ? { kind: 'failed', error: { errorClass: 'Broken', message: 'broken', kind: 'final' } }
          : { kind: 'done', output: {} },
      );
    }
    world.actions.composite('demo.Root', [
      { kind: 'action', action: 'demo.A', input: {}, as: 'a' },
      { kind: 'action', action: 'demo.B', input: {} },
      { kind: 'action', action: 'demo.C', input: { from: { $output: 'a', path: ['x'] } }, as: 'c' },
      { kind: 'action', action: 'demo.D', input: { from: { $output: 'c', path: [] } } },
    ]);
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    return { world, plan, failedStep: world.plan(plan).action(2).runStep! };
  }

  it('EX36 EX37 EX38 skips the step, all that need its output, and their finalize steps', async () => {
    const { world, plan, failedStep } = await paused();
    const skipped = await world.ask((engine) => engine.skip(plan, failedStep));
    const { actions } = world.plan(plan);
    const expected = actions
      .filter(({ name }) => ['demo.A', 'demo.C', 'demo.D'].includes(name))
      .flatMap(({ runStep, finalizeStep }) => [runStep, finalizeStep]);
    expect(skipped.toSorted((a, b) => a - b)).toEqual(expected);
    expect(world.plan(plan).verdict).toBe('paused/warning');
    await world.ask((engine) => engine.resume(plan));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/warning');
    expect(world.plan(plan).step(actions[2]!.finalizeStep!).state).toBe('success');
    expect(world.store.doubledRows).toEqual([]);
  });

  it('does not skip what merely follows', async () => {
    const { world, broken } = threeSteps();
    broken.add('demo.A/run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    const step = world.plan(plan).action(2).runStep!;
    expect(await world.ask((engine) => engine.skip(plan, step))).toEqual([step]);
    await world.ask((engine) => engine.resume(plan));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/warning');
    expect(world.plan(plan).output(4)).toEqual({ run: 1 });
  });

  it('refuses a step that the plan does not have, and leaves alone one that did not fail', async () => {
    const { world, plan } = await paused();
    await expect(world.ask((engine) => engine.skip(plan, 99))).rejects.toBeInstanceOf(NotFoundError);
    const succeeded = world.plan(plan).action(3).runStep!;
    expect(await world.ask((engine) => engine.skip(plan, succeeded))).toEqual([]);
    const pending = world.plan(plan).action(4).runStep!;
    expect(world.plan(plan).step(pending).state).toBe('pending');
    expect(await world.ask((engine) => engine.skip(plan, pending))).toEqual([]);
    expect(world.plan(plan).step(pending).state).toBe('pending');
    expect(world.plan(plan).verdict).toBe('paused/error');
  });

  it('of two steps at the same time skips both, and derives the result from both', async () => {
    const world = new EngineWorld();
    const error = { errorClass: 'Broken', message: 'broken', kind: 'final' as const };
    world.actions.executor('demo.A', {}, () => ({ kind: 'failed', error }));
    world.actions.composite('demo.Root', [child('demo.A'), child('demo.A')]);
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    const steps = world
      .plan(plan)
      .steps.filter(({ state }) => state === 'error')
      .map(({ id }) => id);
    await world.ask(async (engine) => Promise.all(steps.map(async (step) => engine.skip(plan, step))));
    expect(world.plan(plan).verdict).toBe('paused/warning');
    expect(world.store.doubledRows).toEqual([]);
  });

  it('and resume at the same time do not undo each other', async () => {
    const { world, plan, failedStep } = await paused();
    await world.ask(async (engine) => Promise.all([engine.skip(plan, failedStep), engine.resume(plan)]));
    await world.runAll();
    expect(world.plan(plan).step(failedStep).state).toBe('skipped');
    expect(world.plan(plan).verdict).toBe('stopped/warning');
  });
});

describe('trigger with an id', () => {
  it('EP21 uses the id of the caller', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    expect(await world.trigger('demo.A', {}, { id: 'my-id' })).toBe('my-id');
  });

  it('is idempotent while the plan runs and when it is over', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const trigger = async (): Promise<{ plan: string; created: boolean }> =>
      world.ask((engine) => engine.trigger({ id: 'x', action: 'demo.A', input: {} }));
    expect(await trigger()).toEqual({ plan: 'x', created: true });
    expect(await trigger()).toEqual({ plan: 'x', created: false });
    await world.runAll();
    expect(await trigger()).toEqual({ plan: 'x', created: false });
    expect(world.plan('x').verdict).toBe('stopped/success');
    expect(world.store.planIds).toEqual(['x']);
  });

  it.each([
    ['one that runs', 'demo.A'],
    ['one that ends at once', 'demo.Empty'],
    ['one that cannot be planned', 'demo.Broken'],
  ])('makes one plan when it is asked for many times at once: %s', async (_, action) => {
    for (const isAsync of [false, true]) {
      const world = new EngineWorld();
      world.store.isAsync = isAsync;
      world.actions.executor('demo.A');
      world.actions.composite('demo.Empty', []);
      world.actions.composite('demo.Broken', [child('demo.Gone')]);
      const answers = await world.ask(async (engine) =>
        Promise.all(Array.from({ length: 5 }, async () => engine.trigger({ id: 'x', action, input: {} }))),
      );
      expect(answers.filter(({ created }) => created)).toHaveLength(1);
      expect(world.store.planIds).toEqual(['x']);
      expect(world.faults).toEqual([]);
    }
  });
});
