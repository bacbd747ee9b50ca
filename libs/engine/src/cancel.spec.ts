import { describe, expect, it } from 'vitest';
import type { LocalEvent } from '@dynflow/contracts';
import { EngineWorld, done, suspended, type ActionOptions } from '@dynflow/testing/engine';

const abandonedOutput = { exit_status: 'EXCEPTION' };

/** A plan of one cancellable action with output chunks. */
function script(options: ActionOptions = {}): EngineWorld {
  const world = new EngineWorld();
  world.actions.executor('demo.Script', { cancellable: true, abandonedOutput, chunksAs: 'result', ...options });
  return world;
}

describe('cancelling a step', () => {
  it('that is ready ends it in its executor’s place, and its token is worth nothing', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual(abandonedOutput);
    expect(world.text(plan)).toBe('Cancelled before it started.\n');
    expect(await world.tryClaim()).toMatchObject({ result: 'refused' });
  });

  it('without abandoned output fails it, and the plan stops', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { cancellable: true });
    const plan = await world.trigger('demo.A');
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(2).error).toMatchObject({ code: 'DYN_CANCELLED', errorClass: 'Cancelled' });
    expect(world.store.readChunks(plan, 1)).toEqual([]);
  });

  it('EX11 EX12 EP31 that is running tells its holder; how it ends is the holder’s to say', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    const held = await world.claim();
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
    expect(held.events).toEqual([{ kind: 'cancel', force: false }]);
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running', detail: { isCancelRequested: true } });
    await world.finish(held, { exit_status: 143, cancelled: true });
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ exit_status: 143, cancelled: true });
  });

  it('EP32 AC53 with force says so', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan, { force: true }));
    expect(held.events).toEqual([{ kind: 'cancel', force: true }]);
  });

  it('EX13 whose holder fails stops the plan with its error', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.fail(held, { message: 'could not be killed' });
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(2).error?.message).toBe('could not be killed');
  });

  it('is told again when its holder says what it holds, also after a restart', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    const held = await world.claim();
    world.executor('demo').isAway = true;
    await world.ask((engine) => engine.cancel(plan));
    world.executor('demo').isAway = false;
    await world.restart();
    await world.ask((engine) => engine.remind([{ plan, step: 2, claim: held.claim }]));
    expect(held.events).toEqual([{ kind: 'cancel', force: false }]);
  });

  it('that is suspended ends it', async () => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    await world.suspend(await world.claim(), {}, 60_000);
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.text(plan)).toBe('Cancelled while it waited.\n');
    expect(world.clock.pending).toBe(0);
  });

  it.each(['suspended', 'released'] as const)('whose holder lets go of it (%s) ends it: nobody begins it again', async (kind) => {
    const world = script();
    const plan = await world.trigger('demo.Script');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.report(
      held,
      kind === 'released' ? { kind, checkpoint: {} } : { kind, checkpoint: {}, waitingFor: 'a poll', wakeAfterMs: 1_000 },
    );
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual(abandonedOutput);
    expect(world.tokens).toEqual([]);
  });

  it('whose holder is lost ends it, though another could take it over', async () => {
    const world = script({ resumable: true });
    const plan = await world.trigger('demo.Script');
    await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('that is local and waits invokes it with the event', async () => {
    const world = new EngineWorld();
    const events: (LocalEvent | undefined)[] = [];
    world.actions.local(
      'gw.A',
      ({ event }) => {
        events.push(event);
        return event?.kind === 'cancel' ? done({ cancelled: true }) : suspended();
      },
      { cancellable: true },
    );
    const plan = await world.trigger('gw.A');
    expect(await world.ask((engine) => engine.cancel(plan, { force: true }))).toBe(1);
    expect(events).toEqual([undefined, { kind: 'cancel', force: true }]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('that is local may let it go on waiting', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.A', ({ event }) => (event?.kind === 'external' ? done() : suspended()), { cancellable: true });
    const plan = await world.trigger('gw.A');
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).step(2).state).toBe('suspended');
    await world.ask((engine) => engine.sendEvent(plan, 2, 'go'));
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('that is not cancellable does nothing to it', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    const held = await world.claim();
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(0);
    expect(held.events).toEqual([]);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('cancelling a plan', () => {
  /** A script, then a callback that needs its output; the script's finalize says whether it went well. */
  function scriptAndCallback(): EngineWorld {
    const world = script({
      finalize: { kind: 'failUnless', output: 'exit_status', equals: 0, message: 'the script failed' },
      rescueStrategy: 'Fail',
    });
    world.actions.executor('demo.Callback');
    world.actions.composite('demo.Root', [
      { kind: 'action', action: 'demo.Script', input: {}, as: 'script' },
      { kind: 'action', action: 'demo.Callback', input: { status: { $output: 'script', path: ['exit_status'] } } },
    ]);
    return world;
  }

  it('lets what is not cancellable run, such as a callback, with what the cancelled step left', async () => {
    const world = scriptAndCallback();
    const plan = await world.trigger('demo.Root');
    await world.ask((engine) => engine.cancel(plan));
    const callback = await world.claim({ step: world.plan(plan).action(3).runStep! });
    expect(callback.grant.input).toEqual({ status: 'EXCEPTION' });
    await world.finish(callback);
    expect(world.plan(plan).verdict).toBe('stopped/error');
  });

  it('does not replace the finalize step of a cancelled action: it says how the run ended', async () => {
    const world = scriptAndCallback();
    const plan = await world.trigger('demo.Root');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.finish(held, { exit_status: 0 });
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output(2)['exit_status']).toBe(0);
  });

  it('starts no further cancellable step, also after a restart', async () => {
    const world = script();
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: [1, 2, 3].map(() => ({ kind: 'action' as const, action: 'demo.Script', input: {} })) },
    ]);
    const plan = await world.trigger('demo.Root');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.restart();
    await world.finish(held, { exit_status: 0 });
    expect(world.tokens).toEqual([]);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect([2, 3, 4].map((action) => world.plan(plan).output(action)['exit_status'])).toEqual([0, 'EXCEPTION', 'EXCEPTION']);
  });

  it('N8 ends thousands of steps in a row without nesting calls', async () => {
    const world = script({ chunksAs: undefined });
    const count = 3_000;
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: Array.from({ length: count }, () => ({ kind: 'action' as const, action: 'demo.Script', input: {} })) },
    ]);
    const plan = await world.trigger('demo.Root');
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).action(1 + count).output).toEqual(abandonedOutput);
  });

  it('in the turn that triggers it runs nothing, not even what is local', async () => {
    const world = new EngineWorld();
    let runs = 0;
    world.actions.local(
      'gw.A',
      () => {
        runs += 1;
        return done();
      },
      { cancellable: true },
    );
    const triggered = world.begin((engine) => engine.trigger({ id: 'x', action: 'gw.A', input: {} }));
    // What it looks up first is known, its turn has not run.
    await new Promise((resolve) => setImmediate(resolve));
    const cancelled = world.begin((engine) => engine.cancel('x'));
    await world.settle();
    await Promise.all([triggered, cancelled]);
    expect(runs).toBe(0);
    expect(world.plan('x').verdict).toBe('stopped/error');
  });

  it('that is still being planned, and has to tell its starter, holds when it is planned', async () => {
    const world = script();
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.Script', input: {} }]);
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Asked', {}, { isExternal: true });
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(0);
    await world.restart();
    world.arePlannersAway = false;
    await world.advance(10_000);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output(2)).toEqual(abandonedOutput);
    expect(world.tokens).toEqual([]);
  });

  it('and the end of its planning in one turn write its row once', async () => {
    const world = script();
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.Script', input: {} }]);
    world.store.hold();
    const triggered = world.begin((engine) => engine.trigger({ id: 'x', action: 'demo.Asked', input: {}, isExternal: true }));
    await world.settle();
    world.store.letGo();
    const cancelled = world.begin((engine) => engine.cancel('x'));
    await world.settle();
    await Promise.all([triggered, cancelled]);
    expect(world.store.doubledRows).toEqual([]);
    await world.restart();
    expect(world.plan('x').verdict).toBe('stopped/success');
  });

  it('that has stopped, or that nobody knows, does nothing', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { rescueStrategy: 'Fail' });
    const plan = await world.trigger('demo.A');
    await world.fail(await world.claim());
    expect(world.plan(plan).state).toBe('stopped');
    expect(await world.ask((engine) => engine.cancel(plan))).toBeNull();
    expect(await world.ask((engine) => engine.cancel('unknown'))).toBeNull();
  });

  it('that fails stops it, whatever its rescue strategy', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.executor('demo.B', { cancellable: true });
    world.actions.composite('demo.Root', [
      { kind: 'sequence', nodes: ['demo.A', 'demo.B'].map((action) => ({ kind: 'action' as const, action, input: {} })) },
    ]);
    const plan = await world.trigger('demo.Root');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.fail(held);
    // A cancelled plan that fails stops: nobody wants it resumed.
    expect(world.plan(plan).verdict).toBe('stopped/error');
  });
});
