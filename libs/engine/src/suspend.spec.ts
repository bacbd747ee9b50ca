import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { LocalEvent } from '@dynflow/contracts';
import { EngineWorld, done, failed, suspended } from '@dynflow/testing/engine';

/** A plan of one executor step that is suspended; `wakeAfterMs` sets its timer. */
async function parked(wakeAfterMs?: number, checkpoint: JsonValue = { page: 1 }): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld();
  world.actions.executor('demo.A', { cancellable: true });
  const plan = await world.trigger('demo.A');
  await world.suspend(await world.claim(), checkpoint, wakeAfterMs);
  return { world, plan };
}

describe('a suspended step of an executor', () => {
  it('AC14 waits without executor, slot or token, and says for what', async () => {
    const { world, plan } = await parked();
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', executor: null, waitingFor: 'an event', attempt: 2 });
    expect(world.plan(plan).verdict).toBe('running/pending');
    expect(world.tokens).toEqual([]);
    expect(world.held).toEqual([]);
    await world.advance(86_400_000);
    expect(world.tokens).toEqual([]);
  });

  it('DI2 is invoked again by an event, with it and its checkpoint', async () => {
    const { world, plan } = await parked();
    expect(await world.ask((engine) => engine.sendEvent(plan, 2, { answer: 42 }))).toBe(true);
    const held = await world.claim();
    expect(held.grant).toMatchObject({ attempt: 2, checkpoint: { page: 1 }, events: [{ answer: 42 }] });
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).step(2).detail).toEqual({});
  });

  it('N3 gets all events that came before it is claimed, in their order, and each once', async () => {
    const { world, plan } = await parked();
    for (const event of ['a', 'a', 'b']) {
      await world.ask((engine) => engine.sendEvent(plan, 2, event));
    }
    const held = await world.claim();
    expect(held.grant.events).toEqual(['a', 'a', 'b']);
    // Tokens are published for each event; a doubled one is refused.
    expect(world.tokens.length).toBeGreaterThan(0);
    expect(await world.tryClaim()).toMatchObject({ result: 'refused' });
    world.tokens.length = 0;
    await world.suspend(held);
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', detail: {} });
    await world.ask((engine) => engine.sendEvent(plan, 2, 'c'));
    expect((await world.claim({ step: 2 })).grant.events).toEqual(['c']);
  });

  it('N3 keeps an event that comes while it is held by somebody who cannot be reached', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'first'));
    const held = await world.claim();
    world.executor('demo').isAway = true;
    expect(await world.ask((engine) => engine.sendEvent(plan, 2, 'second'))).toBe(true);
    world.executor('demo').isAway = false;
    await world.suspend(held, { page: 2 });
    const next = await world.claim();
    expect(next.grant).toMatchObject({ attempt: 3, checkpoint: { page: 2 }, events: ['second'] });
  });

  it('gives an event to its holder at once, and not again to the next invocation', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'first'));
    const held = await world.claim();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'first'));
    expect(held.events).toMatchObject([{ kind: 'external', data: 'first' }]);
    await world.suspend(held);
    expect(world.tokens).toEqual([]);
    expect(world.plan(plan).step(2).detail.events).toBeUndefined();
  });

  it('is granted again to the same claim with the events of the grant, not with what it is told besides', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'granted'));
    const [{ token }] = world.tokens as [(typeof world.tokens)[0]];
    await world.ask(async () => world.executor('demo').claim(token, 'c'));
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, 'told'));
    world.executor('demo').held.clear();
    expect(await world.ask(async () => world.executor('demo').claim(token, 'c'))).toMatchObject({ grant: { events: ['granted'] } });
  });

  it('does not lose an event because an older one of a former claim was received late', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    const first = await world.claim();
    // The answer to this event comes only when the step is held by a second claim that was granted it.
    let answer = (): void => undefined;
    const executor = world.executor('demo');
    const receive = executor.receive.bind(executor);
    executor.receive = (message) => {
      if (message.type === 'step.event') {
        return new Promise<boolean>((resolve) => (answer = () => resolve(true))) as unknown as boolean;
      }
      return receive(message);
    };
    await world.ask((engine) => engine.sendEvent(plan, 2, 'told late'));
    executor.receive = receive;
    await world.suspend(first);
    const second = await world.claim();
    expect(second.grant.events).toEqual(['told late']);
    answer();
    await world.settle();
    executor.isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, 'new'));
    executor.isAway = false;
    await world.suspend(second);
    expect((await world.claim()).grant.events).toEqual(['new']);
  });

  it.each(['idempotent', 'resumable'])('gives what its holder was told to whoever takes it over after that was lost (%s)', async (kind) => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { [kind]: true });
    const plan = await world.trigger('demo.A');
    const lost = await world.claim();
    for (const word of ['first', 'second']) {
      await world.ask((engine) => engine.sendEvent(plan, 2, word));
    }
    expect(lost.events).toMatchObject([{ data: 'first' }, { data: 'second' }]);
    await world.restart();
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    const next = await world.claim();
    expect(next.grant.events).toEqual(['first', 'second']);
    await world.suspend(next);
    expect(world.tokens).toEqual([]);
    expect(world.plan(plan).step(2).detail.events).toBeUndefined();
  });

  it('tells its holder again what it did not receive, with the same id, when it says what it holds', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, 'lost'));
    world.executor('demo').isAway = false;
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    const ids = world.told.flatMap(({ message }) =>
      message.type === 'step.event' && message.event.kind === 'external' ? [message.event.id] : [],
    );
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(held.events).toMatchObject([{ data: 'lost' }]);
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    expect(held.events).toHaveLength(1);
  });

  it('does not tell a claim that does not hold it', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, 'lost'));
    const before = world.told.length;
    await world.ask((engine) =>
      engine.remind([
        { plan, step: 2, claim: 'another' },
        { plan: 'none', step: 1, claim: 'x' },
      ]),
    );
    expect(world.told).toHaveLength(before);
  });

  it('AC13 AC15 AC16 EX15 is invoked again when its time has come, without event', async () => {
    const { world, plan } = await parked(5_000);
    expect(world.clock.pending).toBe(1);
    await world.advance(4_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    const held = await world.claim();
    expect(held.grant).toMatchObject({ attempt: 2, events: [], checkpoint: { page: 1 } });
    await world.finish(held, { done: true });
    expect(world.clock.pending).toBe(0);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('is not invoked by a timer of a former invocation', async () => {
    const { world, plan } = await parked(5_000);
    await world.ask((engine) => engine.sendEvent(plan, 2, 'early'));
    await world.suspend(await world.claim(), {}, 60_000);
    await world.advance(59_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    expect((await world.claim()).attempt).toBe(3);

    const other = await parked(5_000);
    await other.world.ask((engine) => engine.sendEvent(other.plan, 2, 'early'));
    await other.world.suspend(await other.world.claim());
    await other.world.advance(60_000);
    expect(other.world.tokens).toEqual([]);
  });

  it('keeps its timer over a restart, and one that ran out meanwhile rings at once', async () => {
    const { world } = await parked(5_000);
    await world.restart();
    expect(world.tokens).toEqual([]);
    await world.advance(2_000);
    await world.restart();
    await world.advance(3_000);
    expect(world.tokens).toHaveLength(1);

    const late = await parked(5_000);
    late.world.crash();
    late.world.clock.jump(60_000);
    await late.world.restart();
    await late.world.advance(0);
    expect((await late.world.claim()).attempt).toBe(2);
  });

  it('keeps its events over a restart', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, { n: 1 }));
    world.tokens.length = 0;
    await world.restart();
    expect((await world.claim()).grant.events).toEqual([{ n: 1 }]);
  });

  it('rings again when the store was away as its timer rang', async () => {
    const { world } = await parked(5_000);
    world.store.isAway = true;
    await world.advance(5_000);
    expect(world.tokens).toEqual([]);
    world.store.isAway = false;
    await world.advance(5_000);
    expect(world.tokens.length).toBeGreaterThan(0);
    expect((await world.claim()).attempt).toBe(2);
  });
});

describe('an event', () => {
  it('DI3 is refused by a step that is over, or has not begun', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: ['x', 'y'].map(() => ({ kind: 'action' as const, action: 'demo.A', input: {} })) },
    ]);
    const plan = await world.trigger('demo.Root');
    const held = await world.claim();
    await world.finish(held);
    expect(await world.ask((engine) => engine.sendEvent(plan, held.step, 1))).toBe(false);
    expect(await world.ask((engine) => engine.sendEvent(plan, world.tokens[0]!.token.step, 1))).toBe(false);
    expect(await world.ask((engine) => engine.sendEvent(plan, 99, 1))).toBe(false);
  });

  it('DI5 for an unknown plan is refused quietly', async () => {
    const world = new EngineWorld();
    expect(await world.ask((engine) => engine.sendEvent('unknown', 1, 1))).toBe(false);
    expect(world.faults).toEqual([]);
  });

  it('N4 that is left when the step ends is gone', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.sendEvent(plan, 2, 'late'));
    world.executor('demo').isAway = false;
    await world.fail(held);
    await world.ask((engine) => engine.resume(plan));
    expect((await world.claim()).grant.events).toEqual([]);
  });
});

describe('a checkpoint', () => {
  it('is stored with output while the step goes on', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', checkpoint: { pid: 7 }, output: { started: true } });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running', detail: { checkpoint: { pid: 7 } } });
    expect(world.plan(plan).output()).toEqual({ started: true });
    await world.report(held, { kind: 'checkpoint', output: { more: true } });
    expect(world.plan(plan).step(2).detail.checkpoint).toEqual({ pid: 7 });
    await world.finish(held, { more: false });
    expect(world.plan(plan).output()).toEqual({ started: true, more: false });
    expect(world.plan(plan).step(2).detail.checkpoint).toBeUndefined();
  });
});

describe('a released step', () => {
  it('may be claimed at once by another, with checkpoint and the events that were not dealt with', async () => {
    const { world, plan } = await parked();
    await world.ask((engine) => engine.sendEvent(plan, 2, 'wake'));
    await world.report(await world.claim(), { kind: 'released', checkpoint: { offset: 9 } });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', attempt: 3 });
    const next = await world.claim({ executor: 'e2' });
    expect(next.grant).toMatchObject({ attempt: 3, checkpoint: { offset: 9 }, events: ['wake'] });
  });

  it('of the finalize phase begins anew', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { run: false, finalize: { kind: 'run' } });
    const plan = await world.trigger('demo.A');
    await world.report(await world.claim(), { kind: 'released', checkpoint: null });
    expect(world.plan(plan).step(2).state).toBe('pending');
    const next = await world.claim();
    expect(next.grant).toMatchObject({ phase: 'finalize', attempt: 2 });
    await world.finish(next);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('a local step', () => {
  /** A local action that notes the events of its invocations and is done when told `stop`. */
  function listener(): { world: EngineWorld; events: (LocalEvent | undefined)[] } {
    const world = new EngineWorld();
    const events: (LocalEvent | undefined)[] = [];
    world.actions.local('gw.Listen', ({ event, input, checkpoint }) => {
      events.push(event);
      if (event?.kind === 'external' && event.data === 'stop') {
        return done({ heard: events.length, checkpoint: checkpoint ?? null });
      }
      const wakeAfterMs = event === undefined && typeof input['wakeAfterMs'] === 'number' ? { wakeAfterMs: input['wakeAfterMs'] } : {};
      return suspended({ checkpoint: { count: events.length }, ...wakeAfterMs });
    });
    return { world, events };
  }

  it('runs in the turn that made it ready: one commit for all', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.A', ({ input }) => done(input));
    world.actions.composite('gw.Root', [
      { kind: 'sequence', nodes: ['x', 'y', 'z'].map((name) => ({ kind: 'action' as const, action: 'gw.A', input: { name } })) },
    ]);
    const plan = await world.trigger('gw.Root');
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.store.commits).toHaveLength(1);
    expect(world.tokens).toEqual([]);
  });

  it('AC17 AC18 AC19 is invoked with events, in their order, and with its checkpoint', async () => {
    const { world, events } = listener();
    const plan = await world.trigger('gw.Listen');
    await world.ask(async (engine) => Promise.all([engine.sendEvent(plan, 2, 'a'), engine.sendEvent(plan, 2, 'b')]));
    await world.ask((engine) => engine.sendEvent(plan, 2, 'stop'));
    expect(events).toEqual([undefined, ...['a', 'b', 'stop'].map((data) => ({ kind: 'external', data }))]);
    expect(world.plan(plan).output()).toEqual({ heard: 4, checkpoint: { count: 3 } });
  });

  it('is invoked by its timer', async () => {
    const { world, events } = listener();
    await world.trigger('gw.Listen', { wakeAfterMs: 1_000 });
    await world.advance(1_000);
    expect(events).toEqual([undefined, { kind: 'timer' }]);
    expect(world.clock.pending).toBe(0);
  });

  it('is invoked without event after a restart', async () => {
    const { world, events } = listener();
    await world.trigger('gw.Listen');
    await world.restart();
    expect(events).toEqual([undefined, undefined]);
  });

  it('asks for effects, and hears of what became of them', async () => {
    const world = new EngineWorld();
    const heard: (LocalEvent | undefined)[] = [];
    world.perform = ({ payload }) => {
      const { isGood } = payload as { isGood: boolean };
      if (!isGood) {
        throw new RangeError('refused');
      }
      return { status: 200 };
    };
    world.actions.local('gw.Call', ({ event, input }) => {
      heard.push(event);
      return event === undefined ? suspended({ commands: [{ kind: 'effect', name: 'post', payload: input }] }) : done();
    });
    await world.trigger('gw.Call', { isGood: true });
    await world.trigger('gw.Call', { isGood: false });
    expect(heard.filter((event) => event !== undefined)).toEqual([
      { kind: 'effect', name: 'post', ok: true, value: { status: 200 } },
      { kind: 'effect', name: 'post', ok: false, error: { errorClass: 'RangeError', message: 'refused', kind: 'final' } },
    ]);
    expect(world.effects).toMatchObject([
      { action: 'gw.Call', name: 'post' },
      { action: 'gw.Call', name: 'post' },
    ]);
  });

  it('asks for an effect only after that is committed', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.Call', ({ event }) =>
      event === undefined ? suspended({ commands: [{ kind: 'effect', name: 'post', payload: 1 }] }) : done(),
    );
    world.store.hold();
    const triggered = world.begin((engine) => engine.trigger({ action: 'gw.Call', input: {} }));
    await world.settle();
    expect(world.effects).toEqual([]);
    world.store.letGo();
    await world.settle();
    expect(world.effects).toHaveLength(1);
    expect((await triggered).created).toBe(true);
  });

  it('does not hear of an effect of a former invocation', async () => {
    const world = new EngineWorld();
    const heard: (LocalEvent | undefined)[] = [];
    let answer = (): void => undefined;
    world.perform = async () => new Promise((resolve) => (answer = () => resolve('late')));
    world.actions.local('gw.Call', ({ event }) => {
      heard.push(event);
      return suspended(event === undefined ? { commands: [{ kind: 'effect', name: 'post', payload: 1 }] } : {});
    });
    const plan = await world.trigger('gw.Call');
    await world.ask((engine) => engine.sendEvent(plan, 2, 'meanwhile'));
    answer();
    await world.settle();
    expect(heard.map((event) => event?.kind)).toEqual([undefined, 'external']);
  });

  it('hears of an effect later when the store was away', async () => {
    const world = new EngineWorld();
    let answer = (): void => undefined;
    world.perform = async () => new Promise((resolve) => (answer = () => resolve('ok')));
    let asked = 0;
    world.actions.local('gw.Call', ({ event }) => {
      asked += event === undefined ? 1 : 0;
      return event === undefined ? suspended({ commands: [{ kind: 'effect', name: 'post', payload: 1 }] }) : done();
    });
    const plan = await world.trigger('gw.Call');
    world.store.isAway = true;
    answer();
    await world.settle();
    world.perform = () => 'ok again';
    world.store.isAway = false;
    await world.advance(10_000);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    // It is asked for again, because nobody can say whether its result was heard.
    expect(asked).toBe(2);
  });

  it('that throws fails, and nothing else does', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.Bad', () => {
      throw new TypeError('no such thing');
    });
    world.actions.local('gw.Good', () => done());
    const [bad, good] = await world.ask(async (engine) =>
      Promise.all(['gw.Bad', 'gw.Good'].map(async (action) => engine.trigger({ action, input: {} }))),
    );
    expect(world.plan(bad!.plan).verdict).toBe('paused/error');
    expect(world.plan(bad!.plan).step(2).error).toEqual({ errorClass: 'TypeError', message: 'no such thing', kind: 'final' });
    expect(world.plan(good!.plan).verdict).toBe('stopped/success');
    expect(world.faults).toEqual(['the local action gw.Bad threw']);
  });

  it('sees outputs of others in its input', async () => {
    const world = new EngineWorld();
    const inputs: JsonObject[] = [];
    world.actions.executor('demo.A');
    world.actions.local('gw.See', ({ input }) => {
      inputs.push(input);
      return done();
    });
    world.actions.composite('gw.Root', [
      { kind: 'action', action: 'demo.A', input: {}, as: 'a' },
      { kind: 'action', action: 'gw.See', input: { seen: { $output: 'a', path: ['answer'] } } },
    ]);
    await world.trigger('gw.Root');
    await world.finish(await world.claim(), { answer: 42 });
    expect(inputs).toEqual([{ seen: 42 }]);
  });

  it('asked to resume runs again', async () => {
    const world = new EngineWorld();
    let isBroken = true;
    world.actions.local('gw.A', () => (isBroken ? failed('broken') : done()));
    const plan = await world.trigger('gw.A');
    expect(world.plan(plan).verdict).toBe('paused/error');
    isBroken = false;
    await world.ask((engine) => engine.resume(plan));
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});
