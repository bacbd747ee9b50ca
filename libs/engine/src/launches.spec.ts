import { beforeEach, describe, expect, it } from 'vitest';
import { DynflowError, InvalidInputError, UnavailableError } from '@dynflow/kernel';
import { EngineWorld } from '@dynflow/testing/engine';
import { IdempotencyConflictError } from './idempotency.js';

let world: EngineWorld;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.A');
  world.actions.executor('demo.B');
  world.actions.composite('demo.Root', [{ kind: 'action', action: 'demo.A', input: {} }]);
});

const launch = async (key: string, input = {}, action = 'demo.A'): Promise<{ plan: string; created: boolean }> =>
  world.ask((engine) => engine.trigger({ action, input, idempotencyKey: key }));

describe('a launch with an idempotency key', () => {
  it('is the same plan however often it comes', async () => {
    const first = await launch('k', { a: 1, b: { c: [1, 2] } });
    expect(first.created).toBe(true);
    expect(await launch('k', { b: { c: [1, 2] }, a: 1 })).toEqual({ plan: first.plan, created: false });
    expect(world.plans).toHaveLength(1);
  });

  it('is one plan when it comes twice at once', async () => {
    const answers = [1, 2].map(async () => world.begin((engine) => engine.trigger({ action: 'demo.A', input: {}, idempotencyKey: 'k' })));
    await world.settle();
    const [first, second] = await Promise.all(answers);
    expect([first?.created, second?.created]).toEqual([true, false]);
    expect(second?.plan).toBe(first?.plan);
    expect(world.plans).toHaveLength(1);
  });

  it('is known after a restart, and after the end of its plan', async () => {
    const { plan } = await launch('k', { x: 1 }, 'demo.Root');
    await world.restart();
    expect(await launch('k', { x: 1 }, 'demo.Root')).toEqual({ plan, created: false });
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(await launch('k', { x: 1 }, 'demo.Root')).toEqual({ plan, created: false });
    await expect(launch('k', { x: 2 }, 'demo.Root')).rejects.toThrow(IdempotencyConflictError);
  });

  it('is known while its plan waits to be planned, and when that failed', async () => {
    world.actions.asked('demo.Asked', () => ({ error: { errorClass: 'E', message: 'no', kind: 'final' } }));
    world.arePlannersAway = true;
    const { plan } = await launch('k', {}, 'demo.Asked');
    expect(await launch('k', {}, 'demo.Asked')).toEqual({ plan, created: false });
    world.arePlannersAway = false;
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(await launch('k', {}, 'demo.Asked')).toEqual({ plan, created: false });
  });

  it('is known of a scheduled plan, with the input that was given and not the one that an executor made of it', async () => {
    world.actions.executor('demo.Delayed', { delay: 'asked' });
    world.actions.onDelay('demo.Delayed', () => ({ input: { changed: true } }));
    const trigger = async (): Promise<{ plan: string; created: boolean }> =>
      world.ask((engine) =>
        engine.trigger({
          action: 'demo.Delayed',
          input: { x: 1 },
          idempotencyKey: 'k',
          schedule: { startAtMs: world.clock.now() + 1_000 },
        }),
      );
    const { plan } = await trigger();
    expect(await trigger()).toEqual({ plan, created: false });
    await world.advance(1_000);
    await world.runAll();
    expect(await trigger()).toEqual({ plan, created: false });
  });

  it.each([
    ['action', { action: 'demo.B', input: { x: 1 } }],
    ['input', { action: 'demo.A', input: { x: 2 } }],
  ])('of another %s is refused in words', async (_, request) => {
    const { plan } = await launch('k', { x: 1 });
    const refusal: unknown = await world
      .ask((engine) => engine.trigger({ ...request, idempotencyKey: 'k' }))
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(IdempotencyConflictError);
    expect(refusal).toMatchObject({ code: 'DYN_IDEMPOTENCY_CONFLICT', retryable: false, context: { key: 'k', plan } });
    expect(world.plans).toHaveLength(1);
  });

  it('comes again after a commit that failed, or seemed to', async () => {
    world.store.failNextCommit();
    await expect(launch('not written')).rejects.toThrow(UnavailableError);
    expect((await launch('not written')).created).toBe(true);
    world.store.failNextCommit(undefined, { isWritten: true });
    await expect(launch('written')).rejects.toThrow(UnavailableError);
    expect((await launch('written')).created).toBe(false);
    expect(world.plans).toHaveLength(2);
  });

  it('that another gateway was quicker with is that one’s plan', async () => {
    const byIdempotencyKeys = world.store.byIdempotencyKeys.bind(world.store);
    const { plan } = await launch('k');
    let isLate = true;
    world.store.byIdempotencyKeys = (keys) => {
      if (isLate) {
        isLate = false;
        world.store.failNextCommit(new DynflowError('DYN_DUPLICATE_PLAN', 'there is one already'));
        return new Map();
      }
      return byIdempotencyKeys(keys);
    };
    expect(await launch('k')).toEqual({ plan, created: false });
  });

  it('keeps of its input no more than a digest', async () => {
    const { plan } = await launch('k', { word: 'x' }, 'demo.Root');
    expect(world.plan(plan).row).toMatchObject({
      idempotencyKey: 'k',
      request: { action: 'demo.Root', input: {}, fingerprint: expect.stringMatching(/^[0-9a-f-]{36}$/) as string },
    });
  });

  it.each(['', 'x'.repeat(256)])('must have a key that can be stored', async (key) => {
    await expect(launch(key)).rejects.toThrow(InvalidInputError);
  });
});
