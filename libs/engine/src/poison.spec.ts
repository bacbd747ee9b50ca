import { describe, expect, it } from 'vitest';
import { EngineWorld } from '@dynflow/testing';

/** A step that may be taken over; `lose` lets an executor claim it and be lost with it, `say` before that makes it speak. */
async function takenOver(kind: 'resumable' | 'idempotent') {
  const world = new EngineWorld();
  world.actions.executor('demo.A', { [kind]: true });
  const plan = await world.trigger('demo.A');
  let count = 0;
  const lose = async (options: { hasSpoken?: boolean } = {}): Promise<void> => {
    count += 1;
    const token = world.tokens.splice(0).at(-1);
    if (token === undefined) {
      throw new Error('the step is not ready');
    }
    const executor = world.executor('demo');
    const held = await world.ask(async () => executor.claim(token.token, `c${count}`));
    if (options.hasSpoken === true) {
      if ('result' in held) {
        throw new Error(held.reason);
      }
      await world.ask(async () => executor.report(held, { kind: 'checkpoint', checkpoint: { at: count } }));
    }
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
  };
  return { world, plan, lose };
}

describe.each(['resumable', 'idempotent'] as const)('a step that is %s and loses its executors', (kind) => {
  it('is given to a second and a third one, and then to nobody: it may be what kills them', async () => {
    const { world, plan, lose } = await takenOver(kind);
    await lose();
    await lose();
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended' });
    await lose();
    expect(world.plan(plan).step(2)).toMatchObject({
      state: 'error',
      error: { code: 'DYN_EXECUTOR_LOST', kind: 'unknown', message: expect.stringContaining('So were the 2 before it') as string },
    });
    expect(world.plan(plan).state).toBe('paused');
    expect(world.tokens).toEqual([]);
  });

  it('is taken over as often as need be while it gets on', async () => {
    const { world, plan, lose } = await takenOver(kind);
    for (let time = 0; time < 10; time += 1) {
      await lose({ hasSpoken: true });
    }
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended' });
  });

  it('counts over a restart', async () => {
    const { world, plan, lose } = await takenOver(kind);
    await lose();
    await lose();
    world.tokens.length = 0;
    await world.restart();
    await lose();
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'error' });
  });
});
