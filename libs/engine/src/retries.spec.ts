import { describe, expect, it } from 'vitest';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';

const retry = { maxAttempts: 3, backoffMs: 1_000, factor: 2, jitter: 0, on: ['retryable'] as ('retryable' | 'unknown')[] };

describe('a retry policy', () => {
  it('runs a step again after a growing pause, and says what it waits for', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry });
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind: 'retryable', message: 'busy' });

    expect(world.plan(plan).step(2)).toMatchObject({
      state: 'suspended',
      waitingFor: 'retry 1 of 2 at 2026-01-01T00:00:01.000Z after: busy',
      retries: 1,
    });
    await world.advance(999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    const second = await world.claim();
    expect(second.grant).toMatchObject({ attempt: 2, events: [] });
    await world.fail(second, { kind: 'retryable' });
    await world.advance(1_999);
    expect(world.tokens).toEqual([]);
    await world.advance(1);
    await world.finish(await world.claim(), { x: 1 });

    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).step(2).detail.pastAttempts).toMatchObject([{ attempt: 1, error: { message: 'busy' } }, { attempt: 2 }]);
  });

  it('leaves the plan to its rescue strategy after the last attempt, and counts anew after a resume', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry: { ...retry, maxAttempts: 2 } });
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind: 'retryable' });
    await world.advance(1_000);
    await world.fail(await world.claim(), { kind: 'retryable' });
    expect(world.plan(plan).verdict).toBe('paused/error');

    await world.ask((engine) => engine.resume(plan));
    await world.fail(await world.claim(), { kind: 'retryable' });
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', retries: 1 });
    await world.advance(1_000);
    await world.finish(await world.claim());
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).step(2).detail.pastAttempts).toHaveLength(3);
  });

  it.each([
    ['final', { retry }, 'error'],
    ['unknown', { retry: { ...retry, on: ['unknown' as const] } }, 'error'],
    ['unknown', { retry: { ...retry, on: ['unknown' as const] }, idempotent: true }, 'suspended'],
    ['unknown', { retry, idempotent: true }, 'error'],
    ['retryable', {}, 'error'],
  ] as const)('judges an error of kind %s by %j: %s', async (kind, options, state) => {
    const world = new EngineWorld();
    world.actions.executor('p.A', structuredClone(options) as never);
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind });
    expect(world.plan(plan).step(2).state).toBe(state);
  });

  it('counts the loss of an executor as an unknown outcome', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry: { ...retry, maxAttempts: 2, on: ['unknown'] }, idempotent: true });
    const plan = await world.trigger('p.A');
    for (const state of ['suspended', 'error']) {
      await world.claim();
      world.executor('p').restart();
      await world.ask((engine) => engine.executorLost('p', 'e1', () => true));
      expect(world.plan(plan).step(2).state).toBe(state);
      await world.advance(1_000);
    }
    expect(world.plan(plan).verdict).toBe('paused/error');
  });

  it('begins without checkpoint and events, unless the action can take up its work', async () => {
    for (const resumable of [false, true]) {
      const world = new EngineWorld();
      world.actions.executor('p.A', { retry, resumable });
      const plan = await world.trigger('p.A');
      await world.suspend(await world.claim(), { at: 7 });
      await world.ask((engine) => engine.sendEvent(plan, 2, 'go'));
      await world.fail(await world.claim(), { kind: 'retryable' });
      await world.ask((engine) => engine.sendEvent(plan, 2, 'while it waits'));
      expect(world.tokens).toEqual([]);
      await world.advance(1_000);
      const { grant } = await world.claim();
      expect(grant.checkpoint).toEqual(resumable ? { at: 7 } : undefined);
      expect(grant.events).toEqual(['while it waits']);
    }
  });

  it('takes a random share away from the pause, so that many failures do not come back at once', async () => {
    const world = new EngineWorld({ random: () => 0.5 });
    world.actions.executor('p.A', { retry: { ...retry, jitter: 0.4 } });
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind: 'retryable' });
    expect(world.plan(plan).step(2).wakeAtMs).toBe(world.clock.now() + 800);
  });

  it('never lets a pause grow beyond what is said', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry: { ...retry, maxAttempts: 100, factor: 1e300, maxBackoffMs: 5_000 } });
    await world.trigger('p.A');
    for (let attempt = 1; attempt < 8; attempt += 1) {
      await world.fail(await world.claim(), { kind: 'retryable' });
      await world.advance(5_000);
    }
    expect(world.tokens).toHaveLength(1);
  });

  it('is over when the plan is cancelled', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry, cancellable: true });
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind: 'retryable' });
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
    expect(world.plan(plan).state).toBe('stopped');
    expect(world.plan(plan).step(2).error).toMatchObject({ code: 'DYN_CANCELLED' });
    expect(world.clock.pending).toBe(0);
  });

  it('does not retry what was told to cancel', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry, cancellable: true });
    const plan = await world.trigger('p.A');
    const held = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    await world.fail(held, { kind: 'retryable' });
    expect(world.plan(plan).state).toBe('stopped');
  });

  it('keeps its timer over a restart', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { retry });
    const plan = await world.trigger('p.A');
    await world.fail(await world.claim(), { kind: 'retryable' });
    await world.restart();
    expect(world.plan(plan).step(2).state).toBe('suspended');
    await world.advance(1_000);
    await world.finish(await world.claim());
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('holds for local actions too: each begins without event, however often the process dies meanwhile', async () => {
    const world = new EngineWorld();
    const seen: string[] = [];
    world.actions.local(
      'gw.A',
      ({ event, attempt }) => {
        seen.push(`${attempt} ${event?.kind ?? 'begins'}`);
        if (event === undefined) {
          return suspended({ commands: [{ kind: 'effect', name: 'post', payload: null }] });
        }
        return attempt > 3
          ? done()
          : { outcome: { kind: 'failed', error: { errorClass: 'E', message: 'no', kind: 'retryable' } }, commands: [] };
      },
      { retry },
    );
    const plan = await world.trigger('gw.A');
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', retries: 1 });
    await world.restart();
    expect(seen).toEqual(['1 begins', '2 effect']);
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(seen).toEqual(['1 begins', '2 effect', '3 begins', '4 effect']);
  });
});
