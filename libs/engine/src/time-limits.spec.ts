import { describe, expect, it } from 'vitest';
import type { TimeLimits } from '@dynflow/contracts';
import { EngineWorld, suspended, type HeldStep } from '@dynflow/testing/engine';

async function worldWith(timeLimits: TimeLimits, more: object = {}): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld();
  world.actions.executor('p.A', { timeLimits, chunksAs: 'result', ...more });
  return { world, plan: await world.trigger('p.A') };
}

/** The executor writes a line. */
async function write(world: EngineWorld, held: HeldStep): Promise<void> {
  const { claim, plan, step, attempt } = held;
  const chunks = [world.executor('p').chunk(held, 'line')];
  await world.ask((engine) =>
    engine.output('p', { type: 'output', version: 1, executor: 'e1', output: [{ claim, plan, step, attempt, chunks }] }),
  );
}

const cancelled = (reason: string) => ({ kind: 'cancel', force: true, reason });
const tooLong = 'The step took longer than 10 s, its limit for running.';
const tooSilent = 'The step was silent for 5 s, its limit for silence.';

describe('the limit for waiting', () => {
  it('ends a step that no executor took, and counts over a restart', async () => {
    const { world, plan } = await worldWith({ waitMs: 10_000 });
    await world.advance(6_000);
    await world.restart();
    await world.advance(3_999);
    expect(world.plan(plan).state).toBe('running');
    await world.advance(1);
    expect(world.plan(plan).verdict).toBe('paused/error');
    expect(world.plan(plan).step(2).error).toEqual({
      errorClass: 'TimeLimitExceeded',
      code: 'DYN_TIME_LIMIT',
      kind: 'retryable',
      message: 'No executor took the step within 10 s, its limit for waiting.',
    });
    expect('result' in (await world.tryClaim())).toBe(true);
  });

  it('is for a retry policy to judge, and is over with the claim', async () => {
    const { world, plan } = await worldWith({ waitMs: 10_000 }, { retry: { maxAttempts: 2, backoffMs: 1_000, jitter: 0 } });
    await world.advance(10_000);
    expect(world.plan(plan).step(2).state).toBe('suspended');
    await world.advance(1_000);
    world.tokens.shift();
    const held = await world.claim();
    await world.advance(100_000);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });
});

describe('the limit for running', () => {
  it('has the executor told to end by force, and records whatever it says then as exceeded, with its output', async () => {
    for (const outcome of ['done', 'failed', 'suspended'] as const) {
      const { world, plan } = await worldWith({ runMs: 10_000 });
      const held = await world.claim();
      await world.advance(10_000);
      expect(held.events).toEqual([cancelled(tooLong)]);
      expect(world.plan(plan).step(2).state).toBe('running');

      const error = { errorClass: 'E', message: 'm', kind: 'final' } as const;
      const output = { left: 1 };
      await world.report(
        held,
        outcome === 'failed'
          ? { kind: 'failed', error, output }
          : outcome === 'done'
            ? { kind: 'done', output }
            : { kind: 'suspended', checkpoint: 1, waitingFor: 'x', output },
      );
      expect(world.plan(plan).step(2).error).toMatchObject({ errorClass: 'TimeLimitExceeded', message: tooLong, kind: 'final' });
      expect(world.plan(plan).output()).toEqual(output);
    }
  });

  it('counts from the first claim over parked times and restarts', async () => {
    const { world, plan } = await worldWith({ runMs: 10_000 });
    await world.suspend(await world.claim(), { at: 1 });
    await world.advance(6_000);
    await world.restart();
    await world.advance(3_999);
    expect(world.plan(plan).step(2).state).toBe('suspended');
    await world.advance(1);
    expect(world.plan(plan).step(2).error).toMatchObject({ message: tooLong, kind: 'final' });
  });

  it('begins anew with a resume by hand', async () => {
    const { world, plan } = await worldWith({ runMs: 10_000 });
    await world.suspend(await world.claim());
    await world.advance(10_000);
    expect(world.plan(plan).verdict).toBe('paused/error');
    await world.ask((engine) => engine.resume(plan));
    const held = await world.claim();
    await world.advance(9_999);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('takes the outcome for unknown when the executor says nothing within the grace, also over a restart', async () => {
    const { world, plan } = await worldWith({ runMs: 10_000 }, { resumable: true });
    await world.claim();
    await world.advance(10_000);
    await world.restart();
    await world.advance(29_999);
    expect(world.plan(plan).step(2).state).toBe('running');
    await world.advance(1);
    expect(world.plan(plan).step(2).error).toMatchObject({ errorClass: 'TimeLimitExceeded', kind: 'unknown' });
  });

  it('tells an executor that could not be reached again with its next heartbeat', async () => {
    const { world } = await worldWith({ runMs: 10_000 });
    const held = await world.claim();
    world.executor('p').isAway = true;
    await world.advance(10_000);
    world.executor('p').isAway = false;
    await world.ask((engine) => engine.remind([held]));
    expect(held.events).toEqual([cancelled(tooLong)]);
  });

  it('ends a local action that is parked', async () => {
    const world = new EngineWorld();
    world.actions.local('gw.A', () => suspended(), { timeLimits: { runMs: 10_000 } });
    const plan = await world.trigger('gw.A');
    await world.advance(10_000);
    expect(world.plan(plan).step(2).error).toMatchObject({ message: tooLong });
  });

  it('ends a job of another system with its exit status', async () => {
    const world = new EngineWorld();
    world.actions.executor('p.A', { timeLimits: { runMs: 10_000 }, abandonedOutput: { exit_status: 'EXCEPTION' } });
    const plan = await world.trigger('p.A', {}, { isExternal: true });
    await world.suspend(await world.claim());
    await world.advance(10_000);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).output()).toEqual({ exit_status: 'EXCEPTION' });
  });
});

describe('the limits for start and silence', () => {
  it('the first word is enough for the start', async () => {
    const { world, plan } = await worldWith({ startMs: 5_000 });
    const held = await world.claim();
    await world.advance(4_999);
    await write(world, held);
    await world.advance(100_000);
    expect(held.events).toEqual([]);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('who says nothing at all is told to end', async () => {
    const { world } = await worldWith({ startMs: 5_000 });
    const held = await world.claim();
    await world.advance(5_000);
    expect(held.events).toEqual([cancelled('The step gave no sign of life within 5 s, its limit for starting.')]);
  });

  it('silence counts from the last output or checkpoint', async () => {
    const { world } = await worldWith({ silentMs: 5_000 });
    const held = await world.claim();
    for (let index = 0; index < 4; index += 1) {
      await world.advance(4_999);
      await (index % 2 === 0 ? write(world, held) : world.report(held, { kind: 'checkpoint', checkpoint: index }));
    }
    expect(held.events).toEqual([]);
    await world.advance(5_000);
    expect(held.events).toEqual([cancelled(tooSilent)]);
  });

  it('silence counts anew after a restart, and what can be taken up is handed on after the grace', async () => {
    const { world, plan } = await worldWith({ silentMs: 5_000 }, { resumable: true });
    const held = await world.claim();
    await world.report(held, { kind: 'checkpoint', checkpoint: { at: 3 } });
    await world.advance(4_000);
    await world.restart();
    await world.advance(4_999);
    expect(world.plan(plan).step(2).detail.overLimit).toBeUndefined();
    await world.advance(1);
    expect(world.plan(plan).step(2).detail.overLimit).toBe(tooSilent);
    await world.advance(30_000);
    expect((await world.claim({ executor: 'e2' })).grant.checkpoint).toEqual({ at: 3 });
  });

  it('leaves no alarm behind', async () => {
    const { world } = await worldWith({ waitMs: 1_000, startMs: 1_000, runMs: 10_000, silentMs: 1_000 });
    await world.finish(await world.claim());
    expect(world.clock.pending).toBe(0);
  });

  it('rings again while the store is away', async () => {
    const { world, plan } = await worldWith({ waitMs: 10_000 });
    world.store.failNextCommit();
    await world.advance(10_000);
    await world.advance(2_000);
    expect(world.plan(plan).verdict).toBe('paused/error');
  });
});
