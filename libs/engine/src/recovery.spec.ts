import { describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';

function simple(): EngineWorld {
  const world = new EngineWorld();
  world.actions.executor('demo.A', { cancellable: true, chunksAs: 'result' });
  return world;
}

describe('a turn that cannot be committed', () => {
  it('is refused to all its callers with the store’s error, and leaves nothing behind', async () => {
    const world = simple();
    world.store.failNextCommit(new Error('disk full'));
    const answers = await world.ask(async (engine) =>
      Promise.allSettled([1, 2].map(async () => engine.trigger({ action: 'demo.A', input: {} }))),
    );
    expect(answers).toMatchObject([{ status: 'rejected', reason: { message: 'disk full' } }, { status: 'rejected' }]);
    expect(world.store.planIds).toEqual([]);
    expect(world.engine.activePlans).toBe(0);
    expect(world.tokens).toEqual([]);
    expect(world.rested).toEqual([]);
  });

  it('does not concern plans that it did not touch, nor later turns', async () => {
    const world = simple();
    const other = await world.trigger('demo.A');
    const held = await world.claim();
    world.store.failNextCommit();
    await expect(world.trigger('demo.A')).rejects.toBeInstanceOf(UnavailableError);
    await world.finish(held);
    expect(world.plan(other).verdict).toBe('stopped/success');
    const next = await world.trigger('demo.A');
    await world.runAll();
    expect(world.plan(next).verdict).toBe('stopped/success');
  });

  it('leaves its plans as they are stored: a claim that was not committed was not granted', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    world.store.failNextCommit();
    await expect(world.tryClaim()).rejects.toBeInstanceOf(UnavailableError);
    expect(world.plan(plan).step(2).state).toBe('pending');
    // Its token is published again when the plan has been read.
    const held = await world.claim();
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it.each([false, true])('loses no outcome that comes before its plan has been read again (store asynchronous: %s)', async (isAsync) => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    world.store.isAsync = isAsync;
    world.store.isAway = true;
    await expect(world.report(held, { kind: 'done', output: { n: 1 } }, ['text'])).rejects.toBeInstanceOf(UnavailableError);
    const [report] = world.executor('demo').unconfirmed.values();
    // The plan cannot be read yet: to say "stale" now would lose the outcome for ever.
    await expect(world.ask(async () => world.executor('demo').send(report!))).rejects.toBeInstanceOf(UnavailableError);
    expect(world.executor('demo').unconfirmed.size).toBe(1);
    expect(world.told).toEqual([]);
    world.store.isAway = false;
    await world.advance(1_000);
    await world.ask(async () => world.executor('demo').send(report!));
    expect(world.executor('demo').unconfirmed.size).toBe(0);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ n: 1 });
    expect(world.text(plan)).toBe('text');
  });

  it('refuses whatever addresses its plans until they have been read', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A', {}, { id: 'p' });
    const held = await world.claim();
    world.store.isAway = true;
    await expect(world.finish(held)).rejects.toBeInstanceOf(UnavailableError);
    const claims = [{ claim: held.claim, plan, step: 2, attempt: 1 }];
    const chunks = [{ seq: 1, kind: 'stdout', timestampMs: 0, text: 'x' }];
    const output = [{ ...claims[0]!, chunks }];
    const answers = await world.ask(async (engine) =>
      Promise.allSettled([
        engine.claim('demo', { type: 'claim', version: 1, executor: 'e1', startId: 'start-1', claims }),
        engine.output('demo', { type: 'output', version: 1, executor: 'e1', output }),
        engine.cancel(plan),
        engine.sendEvent(plan, 2, 1),
      ]),
    );
    expect(answers.map((answer) => answer.status === 'rejected' && answer.reason instanceof UnavailableError)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    world.store.isAway = false;
    await world.advance(1_000);
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
  });

  it('does not let a lost executor be forgotten: it waits until the plans have been read', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    world.store.isAway = true;
    await expect(world.finish(held)).rejects.toBeInstanceOf(UnavailableError);
    const lost = world.begin((engine) => engine.executorLost('demo', 'e1', () => true));
    await world.settle();
    world.store.isAway = false;
    await world.advance(1_000);
    expect(await lost).toBe(1);
    expect(world.plan(plan).verdict).toBe('paused/error');
  });

  it('is read again once, however long the store is away', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    world.store.isAway = true;
    let reads = 0;
    const load = world.store.load.bind(world.store);
    world.store.load = (id) => {
      reads += 1;
      return load(id);
    };
    await expect(world.tryClaim()).rejects.toBeInstanceOf(UnavailableError);
    for (let second = 1; second <= 10; second += 1) {
      await world.advance(1_000);
    }
    expect(reads).toBe(11);
    // It can be read before it can be written: reading it again must not be doubled by the failed write.
    world.store.isAway = false;
    world.store.failNextCommit();
    await world.advance(1_000);
    await world.advance(1_000);
    expect(reads).toBe(13);
    await world.advance(60_000);
    expect(reads).toBe(13);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('of which only the answer was lost goes on as it was written', async () => {
    const world = simple();
    world.store.failNextCommit(new Error('connection lost'), { isWritten: true });
    await expect(world.trigger('demo.A', {}, { id: 'p' })).rejects.toThrow('connection lost');
    expect(world.store.planIds).toEqual(['p']);
    expect(world.engine.activePlans).toBe(1);
    expect(await world.ask((engine) => engine.trigger({ id: 'p', action: 'demo.A', input: {} }))).toEqual({ plan: 'p', created: false });
    const token = world.tokens[0]!;
    world.store.failNextCommit(new Error('connection lost'), { isWritten: true });
    await expect(world.ask(async () => world.executor('demo').claim(token.token, 'c1'))).rejects.toThrow('connection lost');
    const held = await world.ask(async () => world.executor('demo').claim(token.token, 'c1'));
    expect(held).toMatchObject({ claim: 'c1', attempt: 1 });
    world.store.failNextCommit(new Error('connection lost'), { isWritten: true });
    await expect(world.report(world.held[0]!, { kind: 'done', output: {} })).rejects.toThrow('connection lost');
    const [report] = world.executor('demo').unconfirmed.values();
    await world.ask(async () => world.executor('demo').send(report!));
    expect(world.executor('demo').unconfirmed.size).toBe(0);
    expect(world.plan('p').verdict).toBe('stopped/success');
  });

  it('of a resume leaves the plan paused, and it can be resumed later', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    await world.fail(await world.claim());
    world.store.failNextCommit();
    await expect(world.ask((engine) => engine.resume(plan))).rejects.toBeInstanceOf(UnavailableError);
    expect(world.plan(plan).state).toBe('paused');
    expect(world.engine.activePlans).toBe(0);
    await world.ask((engine) => engine.resume(plan));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('with sub-plans has made none, and they are made when the store is back', async () => {
    const world = simple();
    world.actions.local('gw.Batch', ({ event }) => {
      const children = ['c1', 'c2'].map((id) => ({ id, action: 'demo.A', input: {} }));
      if (event?.kind === 'subPlans' && event.counts.pending === 0) {
        return done({ ...event.counts });
      }
      return suspended(event === undefined ? { commands: [{ kind: 'spawn', children }] } : {});
    });
    world.store.onCommit = (number) => number === 1 && world.store.failNextCommit();
    const plan = await world.trigger('gw.Batch');
    await world.advance(1_000);
    await world.runAll();
    expect(world.store.planIds).toEqual([plan, 'c1', 'c2']);
    expect(world.plan(plan).output()).toMatchObject({ total: 2, pending: 0, success: 2, failed: 0 });
  });

  it('of a finished planning is planned again', async () => {
    const world = simple();
    let asked = 0;
    world.actions.asked('demo.Asked', () => {
      asked += 1;
      return [{ kind: 'action', action: 'demo.A', input: {} }];
    });
    world.store.onCommit = (number) => number === 1 && world.store.failNextCommit(new Error('disk full'));
    const plan = await world.trigger('demo.Asked');
    await world.advance(1_000);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(asked).toBe(2);
  });
});

describe('what goes out after a commit', () => {
  it('may throw: nothing else is kept from happening', async () => {
    const world = simple();
    world.actions.local('gw.A', ({ event }) =>
      event === undefined ? suspended({ wakeAfterMs: 10, commands: [{ kind: 'effect', name: 'x', payload: 1 }] }) : done(),
    );
    const boom = (): never => {
      throw new Error('boom');
    };
    world.tokens.push = boom;
    world.executor('demo').receive = boom;
    world.rested.push = boom;
    const [, local] = await world.ask(async (engine) =>
      Promise.all(['demo.A', 'gw.A'].map(async (action) => engine.trigger({ action, input: {} }))),
    );
    expect(world.effects).toHaveLength(1);
    expect(world.plan(local!.plan).verdict).toBe('stopped/success');
    expect(world.faults).toEqual(['tokens could not be published', 'the end of a plan could not be told']);
    const { token } = world.engine.readyTokens()[0]!;
    const held = await world.ask(async () => world.executor('demo').claim(token, 'c1'));
    await world.ask(async (engine) => engine.cancel(token.plan));
    expect(world.faults).toContain('an executor could not be told');
    expect(held).toMatchObject({ claim: 'c1' });
  });

  it('is published again from what is ready now', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    const token = { type: 'step.token', version: 1, shard: 0, plan, step: 2, attempt: 1 };
    expect(world.engine.readyTokens()).toMatchObject([{ plugin: 'demo', queue: 'default', token }]);
    const held = await world.claim();
    expect(world.engine.readyTokens()).toEqual([]);
    await world.finish(held);
    expect(world.engine.readyTokens()).toEqual([]);
  });
});

describe('group commit', () => {
  it('puts what happens in one turn into one commit, each row once', async () => {
    const world = simple();
    const before = world.store.commits.length;
    await world.ask(async (engine) => Promise.all(Array.from({ length: 50 }, async () => engine.trigger({ action: 'demo.A', input: {} }))));
    expect(world.store.commits).toHaveLength(before + 1);
    expect(world.tokens).toHaveLength(50);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('does not begin a turn while another is being committed', async () => {
    const world = simple();
    world.store.hold();
    const first = world.begin((engine) => engine.trigger({ id: 'a', action: 'demo.A', input: {} }));
    await world.settle();
    const others = ['b', 'c'].map(async (id) => world.begin((engine) => engine.trigger({ id, action: 'demo.A', input: {} })));
    await world.settle();
    expect(world.store.commits).toHaveLength(0);
    world.store.letGo();
    await world.settle();
    await Promise.all([first, ...others]);
    expect(world.store.commits.map(({ newPlans }) => newPlans.map(({ id }) => id))).toEqual([['a'], ['b', 'c']]);
  });

  it('writes nothing when nothing changed', async () => {
    const world = simple();
    const plan = await world.trigger('demo.A');
    await world.claim();
    const before = world.store.commits.length;
    await world.ask((engine) => engine.sendEvent('unknown', 1, 1));
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: 'x' }]));
    await world.ask((engine) => engine.executorLost('demo', 'nobody', () => true));
    expect(world.store.commits).toHaveLength(before);
  });
});
