import { describe, expect, it } from 'vitest';
import { EngineWorld } from '@dynflow/testing';
import { UnknownActionError } from './plan-expansion.js';

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
    expect(world.store.doubledRows).toEqual([]);
  });

  it('refuses an action that nobody declares', async () => {
    const world = new EngineWorld();
    await expect(world.trigger('demo.Nothing')).rejects.toBeInstanceOf(UnknownActionError);
  });
});
