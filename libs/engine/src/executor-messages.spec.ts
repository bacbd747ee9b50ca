import { describe, expect, it } from 'vitest';
import type { OutputChunkV1, OutputV1 } from '@dynflow/contracts';
import { EngineWorld, type HeldStep } from '@dynflow/testing/engine';

const chunk = (seq: number, text: string): OutputChunkV1 => ({ seq, kind: 'stdout', timestampMs: seq, text });

function output(held: HeldStep, chunks: OutputChunkV1[], claim = held.claim): OutputV1 {
  const { plan, step, attempt } = held;
  return { type: 'output', version: 1, executor: held.executor, output: [{ claim, plan, step, attempt, chunks }] };
}

/** A plan of one step, ready, in a world whose executors write output. */
async function ready(options: { outputLimitBytes?: number } = {}): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld(options);
  world.actions.executor('demo.A', { chunksAs: 'result', secrets: ['password'], version: 3 });
  const plan = await world.trigger('demo.A', { host: 'h1' }, { sealedSecrets: 'sealed' });
  return { world, plan };
}

describe('a claim', () => {
  it('is granted with all that the step needs, and committed before it is answered', async () => {
    const { world, plan } = await ready();
    world.store.hold();
    const [{ token }] = world.tokens as [(typeof world.tokens)[0]];
    const answer = world.executor('demo').claim(token);
    await world.settle();
    expect(world.executor('demo').held.size).toBe(0);
    world.store.letGo();
    await world.settle();
    expect(await answer).toMatchObject({
      grant: { action: 'demo.A', actionVersion: 3, sealedSecrets: 'sealed', secretKeys: ['password'], input: { host: 'h1' } },
    });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running', executor: 'e1' });
  });

  it('is granted again to the same claim id, and not to another', async () => {
    const { world } = await ready();
    const [{ token }] = world.tokens as [(typeof world.tokens)[0]];
    const first = await world.ask(async () => world.executor('demo').claim(token, 'c1'));
    const again = await world.ask(async () => world.executor('demo').claim(token, 'c1'));
    expect(again).toEqual(first);
    expect(await world.ask(async () => world.executor('demo', 'e2').claim(token, 'c2'))).toMatchObject({
      result: 'refused',
      reason: 'the step is running',
    });
  });

  it('is granted again also after a restart', async () => {
    const { world } = await ready();
    const [{ token }] = world.tokens as [(typeof world.tokens)[0]];
    await world.ask(async () => world.executor('demo').claim(token, 'c1'));
    world.executor('demo').held.clear();
    await world.restart();
    expect(await world.ask(async () => world.executor('demo').claim(token, 'c1'))).toMatchObject({ claim: 'c1', attempt: 1 });
  });

  it('N2 N7 of two for one step in one turn is granted once', async () => {
    const { world } = await ready();
    const [{ token }] = world.tokens as [(typeof world.tokens)[0]];
    const answers = await world.ask(async () => Promise.all(['e1', 'e2'].map(async (id) => world.executor('demo', id).claim(token))));
    expect(answers.map((answer) => 'result' in answer)).toEqual([false, true]);
  });

  it('of several steps is answered one by one, in the order asked', async () => {
    const { world, plan } = await ready();
    const other = await world.trigger('demo.A');
    const claims = [
      { claim: 'a', plan: other, step: 2, attempt: 1 },
      { claim: 'b', plan: 'unknown', step: 2, attempt: 1 },
      { claim: 'c', plan, step: 2, attempt: 1 },
    ];
    const answers = await world.ask((engine) => engine.claim('demo', { type: 'claim', version: 1, executor: 'e1', startId: 's', claims }));
    expect(answers.map(({ claim, result }) => `${claim} ${result}`)).toEqual(['a granted', 'b refused', 'c granted']);
  });

  it.each([
    ['another plugin', { plugin: 'other' }, 'the step belongs to another plugin'],
    ['a stale attempt', { attempt: 0 }, 'attempt 1 is due'],
    ['an attempt that is not due yet', { attempt: 2 }, 'attempt 1 is due'],
    ['a step that the plan does not have', { step: 9 }, 'no such step'],
    ['a plan step', { step: 1 }, 'the step is success'],
    ['an unknown plan', { plan: 'unknown' }, 'no such step'],
  ] as [string, { plugin?: string; attempt?: number; step?: number; plan?: string }, string][])(
    'is refused for %s',
    async (_, wrong, reason) => {
      const { world, plan } = await ready();
      const { plugin, ...address } = { plugin: 'demo', plan, step: 2, attempt: 1, ...wrong };
      const [answer] = await world.ask((engine) =>
        engine.claim(plugin, { type: 'claim', version: 1, executor: 'e1', startId: 's', claims: [{ claim: 'c', ...address }] }),
      );
      expect(answer).toMatchObject({ claim: 'c', result: 'refused' });
      expect(answer?.result === 'refused' && answer.reason).toContain(reason);
      expect(world.plan(plan).step(2).state).toBe('pending');
    },
  );

  it('is refused for a step whose turn has not come', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: [1, 2].map(() => ({ kind: 'action' as const, action: 'demo.A', input: {} })) },
    ]);
    const plan = await world.trigger('demo.Root');
    const second = world.plan(plan).action(3).runStep!;
    const [answer] = await world.ask((engine) =>
      engine.claim('demo', {
        type: 'claim',
        version: 1,
        executor: 'e1',
        startId: 's',
        claims: [{ claim: 'c', plan, step: second, attempt: 1 }],
      }),
    );
    expect(answer).toMatchObject({ result: 'refused', reason: 'the step is pending' });
  });
});

describe('a report', () => {
  it('is confirmed after its commit, and not before', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    world.store.hold();
    const reported = world.executor('demo').report(held, { kind: 'done', output: {} });
    await world.settle();
    expect(world.executor('demo').unconfirmed.size).toBe(1);
    world.store.letGo();
    await world.settle();
    await reported;
    expect(world.executor('demo').unconfirmed.size).toBe(0);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('that comes twice is applied once and confirmed twice', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    const message = await world.report(held, { kind: 'checkpoint', output: { n: 1 } }, ['a']);
    await world.report(held, { kind: 'checkpoint', output: { n: 2 } }, ['b']);
    await world.ask(async () => world.executor('demo').send(message));
    expect(world.plan(plan).output()).toEqual({ n: 2 });
    expect(world.text(plan)).toBe('ab');
    const results = world.told.flatMap(({ message: told }) => (told.type === 'applied' ? told.reports : []));
    expect(results).toEqual([1, 2, 1].map((number) => ({ claim: held.claim, number, result: 'applied' })));
  });

  it('of a step that is over is confirmed as stale', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    const message = await world.finish(held, { n: 1 });
    await world.ask(async () =>
      world.executor('demo').send({ ...message, reports: message.reports.map((one) => ({ ...one, number: 2 })) }),
    );
    expect(world.told.at(-1)?.message).toEqual({
      type: 'applied',
      version: 1,
      reports: [{ claim: held.claim, number: 2, result: 'stale' }],
    });
    expect(world.plan(plan).output()).toEqual({ n: 1 });
  });

  it('of a claim that lost its step changes nothing', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { resumable: true });
    const plan = await world.trigger('demo.A');
    const old = await world.claim();
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    const next = await world.claim({ executor: 'e2' });
    await world.finish(old, { who: 'the old one' });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running', executor: 'e2' });
    await world.finish(next, { who: 'the new one' });
    expect(world.plan(plan).output()).toEqual({ who: 'the new one' });
  });

  it('is believed for the subject’s plugin only', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    const { step, attempt, claim } = held;
    const report = { claim, plan, step, attempt, number: 1, outcome: { kind: 'done' as const, output: { forged: true } }, chunks: [] };
    await world.ask((engine) => engine.report('other', { type: 'report', version: 1, executor: 'e1', startId: 's', reports: [report] }));
    expect(world.plan(plan).step(2).state).toBe('running');
    await world.ask((engine) => engine.output('other', output(held, [chunk(1, 'forged')])));
    expect(world.text(plan)).toBe('');
  });

  it('of many steps is one commit', async () => {
    const { world } = await ready();
    await world.trigger('demo.A');
    const [a, b] = [await world.claim(), await world.claim()];
    const before = world.store.commits.length;
    const reports = [a, b].map(({ claim, plan, step, attempt }) => ({
      claim,
      plan,
      step,
      attempt,
      number: 1,
      outcome: { kind: 'done' as const, output: {} },
      chunks: [],
    }));
    await world.ask((engine) => engine.report('demo', { type: 'report', version: 1, executor: 'e1', startId: 'start-1', reports }));
    expect(world.store.commits).toHaveLength(before + 1);
    expect(world.engine.activePlans).toBe(0);
    expect(world.told.filter(({ message }) => message.type === 'applied').at(-1)?.message).toMatchObject({ reports: [{}, {}] });
  });
});

describe('output', () => {
  it('is stored as it comes, in order, and confirmed up to what is stored', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'a'), chunk(2, 'b')])));
    await world.ask((engine) => engine.output('demo', output(held, [chunk(3, 'c')])));
    expect(world.text(plan)).toBe('abc');
    const stored = world.told.flatMap(({ message }) => (message.type === 'output.stored' ? message.output : []));
    expect(stored).toEqual([2, 3].map((seq) => ({ claim: held.claim, seq })));
  });

  it('N6 is readable in order after a restart, and goes on where it was', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'a'), chunk(2, 'b')])));
    await world.restart();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(2, 'b'), chunk(3, 'c')])));
    expect(world.text(plan)).toBe('abc');
  });

  it('that is there already is dropped', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'a'), chunk(2, 'b')])));
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'a'), chunk(2, 'b'), chunk(3, 'c')])));
    await world.report(held, { kind: 'done', output: {} });
    expect(world.text(plan)).toBe('abc');
  });

  it('with a gap waits for what is missing', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'a'), chunk(3, 'c')])));
    expect(world.text(plan)).toBe('a');
    await world.ask((engine) => engine.output('demo', output(held, [chunk(2, 'b'), chunk(3, 'c')])));
    expect(world.text(plan)).toBe('abc');
  });

  it('with a gap in an outcome does not hold the outcome up', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    held.nextSeq = 5;
    await world.report(held, { kind: 'done', output: {} }, ['the end']);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.text(plan)).toBe('the end');
  });

  it('of a claim that does not hold the step is not stored', async () => {
    const { world, plan } = await ready();
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'x')], 'another claim')));
    await world.finish(held);
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'late')])));
    expect(world.text(plan)).toBe('');
  });

  it('beyond the limit is cut with one line that says so, and is still confirmed', async () => {
    const { world, plan } = await ready({ outputLimitBytes: 10 });
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, '12345'), chunk(2, '67890')])));
    expect(world.text(plan)).toBe('1234567890');
    await world.ask((engine) => engine.output('demo', output(held, [chunk(3, 'too much'), chunk(4, 'more')])));
    await world.restart();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(5, 'and more')])));
    expect(world.text(plan)).toBe('1234567890\n[Output is cut here: more than 10 bytes. The job goes on.]\n');
    expect(world.told.at(-1)?.message).toMatchObject({ type: 'output.stored', output: [{ seq: 5 }] });
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('counts bytes, not characters', async () => {
    const { world, plan } = await ready({ outputLimitBytes: 5 });
    const held = await world.claim();
    await world.ask((engine) => engine.output('demo', output(held, [chunk(1, 'äöü')])));
    expect(world.text(plan)).toContain('Output is cut here');
  });

  it('of a second invocation goes on with the numbers of the first', async () => {
    const { world, plan } = await ready();
    const first = await world.claim();
    await world.report(first, { kind: 'suspended', checkpoint: {}, waitingFor: 'x', wakeAfterMs: 1 }, ['a', 'b']);
    await world.advance(1);
    const second = await world.claim();
    expect(second.grant.nextSeq).toBe(3);
    await world.report(second, { kind: 'done', output: {} }, ['c']);
    expect(world.text(plan)).toBe('abc');
  });
});

describe('a lost executor', () => {
  const lose = async (world: EngineWorld, startId = 'start-1'): Promise<number> =>
    world.ask((engine) => engine.executorLost('demo', 'e1', (id) => id === startId));

  it.each(['resumable', 'idempotent'] as const)('hands a step on that is %s, with its checkpoint', async (ability) => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { [ability]: true });
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', checkpoint: { jid: 7 } });
    expect(await lose(world)).toBe(1);
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', attempt: 2, executor: null });
    const next = await world.claim({ executor: 'e2' });
    expect(next.grant).toMatchObject({ attempt: 2, checkpoint: { jid: 7 } });
    await world.finish(next);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('hands the events on that it had taken', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { resumable: true });
    const plan = await world.trigger('demo.A');
    await world.suspend(await world.claim());
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    await world.claim();
    await lose(world);
    expect((await world.claim({ executor: 'e2' })).grant.events).toEqual(['wake']);
  });

  it('ends a job that another system started as abandoned, and says so', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { abandonedOutput: { exit_status: 'EXCEPTION' }, chunksAs: 'result' });
    const plan = await world.trigger('demo.A', {}, { isExternal: true });
    await world.report(await world.claim(), { kind: 'checkpoint', output: { started: true } }, ['working\n']);
    await lose(world);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ started: true, exit_status: 'EXCEPTION' });
    expect(world.text(plan)).toMatch(
      /^working\n.*The executor e1 was lost while it ran this job\. The job may still be running on the host.*\n$/,
    );
  });

  it.each([
    ['of ours pauses the plan: the outcome is unknown', false, 'paused/error'],
    ['of another system stops it: nobody is to resume it into a second run', true, 'stopped/error'],
  ])('without anything declared, a job %s', async (_, isExternal, verdict) => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A', {}, { isExternal });
    await world.claim();
    await lose(world);
    expect(world.plan(plan).verdict).toBe(verdict);
    expect(world.plan(plan).step(2).error).toMatchObject({ code: 'DYN_EXECUTOR_LOST', kind: 'unknown' });
  });

  it('pauses the plan whatever its rescue strategy when the outcome is unknown', async () => {
    for (const rescueStrategy of ['Skip', 'Fail'] as const) {
      const world = new EngineWorld();
      world.actions.executor('demo.A', { rescueStrategy });
      const plan = await world.trigger('demo.A');
      await world.claim();
      await lose(world);
      expect(world.plan(plan).verdict).toBe('paused/error');
    }
  });

  it.each([
    ['idempotent begins anew', { idempotent: true }, 'pending', 'running'],
    ['only resumable is of unknown outcome', { resumable: true }, 'error', 'paused'],
    ['neither is of unknown outcome, and its output stays', { abandonedOutput: { exit_status: 1 } }, 'error', 'paused'],
  ] as const)('in a finalize step that is %s', async (_, ability, step, state) => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { finalize: { kind: 'run' }, ...ability });
    const plan = await world.trigger('demo.A');
    await world.finish(await world.claim(), { exit_status: 0 });
    await world.claim();
    expect(await lose(world)).toBe(1);
    expect(world.plan(plan).step(3).state).toBe(step);
    expect(world.plan(plan).state).toBe(state);
    expect(world.plan(plan).output()).toEqual({ exit_status: 0 });
  });

  it('loses what its former process held, and nothing of others', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plans = [await world.trigger('demo.A'), await world.trigger('demo.A'), await world.trigger('demo.A')];
    await world.claim({ plan: plans[0]! });
    world.executor('demo').restart();
    await world.claim({ plan: plans[1]! });
    await world.claim({ plan: plans[2]!, executor: 'e2' });
    expect(await lose(world, 'start-1')).toBe(1);
    expect(plans.map((plan) => world.plan(plan).step(2).state)).toEqual(['error', 'running', 'running']);
    expect(await world.ask((engine) => engine.executorLost('other', 'e1', () => true))).toBe(0);
  });
});
