import { beforeEach, describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { EngineWorld } from '@dynflow/testing/engine';
import { SingletonActiveError } from './singletons.js';

let world: EngineWorld;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.Single', { singleton: true });
  world.actions.executor('demo.A');
});

/** Whether a plan with the singleton action could be made now; it is taken away again. */
async function isFree(): Promise<boolean> {
  const plan = await world.trigger('demo.Single');
  const isMade = world.plan(plan).state !== 'stopped';
  if (isMade) {
    await world.ask((engine) => engine.halt(plan));
  }
  return isMade;
}

describe('a singleton action', () => {
  it('AC62: without run and finalize is held while its plan is planned and not started', async () => {
    world.actions.executor('demo.Single', { singleton: true, run: false });
    world.actions.composite('demo.Root', [
      { kind: 'action', action: 'demo.Single', input: {} },
      { kind: 'action', action: 'demo.A', input: {} },
    ]);
    await world.ask((engine) => engine.hold({ reason: 'maintenance' }));
    const plan = await world.trigger('demo.Root');
    expect(world.plan(plan).state).toBe('planned');
    expect(await isFree()).toBe(false);
  });

  it('AC63: is free when its plan has ended well', async () => {
    world.actions.executor('demo.Single', { singleton: true, run: false });
    expect(world.plan(await world.trigger('demo.Single')).verdict).toBe('stopped/success');
    expect(world.plan(await world.trigger('demo.Single')).verdict).toBe('stopped/success');
  });

  it('AC64: with only a finalize phase is held until that is over', async () => {
    world.actions.executor('demo.Single', { singleton: true, run: false, finalize: { kind: 'run' } });
    const plan = await world.trigger('demo.Single');
    const held = await world.claim();
    expect(await isFree()).toBe(false);
    await world.finish(held);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(await isFree()).toBe(true);
  });

  it('AC65: is held while its step is suspended', async () => {
    const plan = await world.trigger('demo.Single');
    await world.suspend(await world.claim());
    expect(world.plan(plan).state).toBe('running');
    expect(await isFree()).toBe(false);
  });

  it('AC66: is free when an event has ended it', async () => {
    const plan = await world.trigger('demo.Single');
    await world.suspend(await world.claim());
    await world.ask((engine) => engine.sendEvent(plan, 2, 'go'));
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(await isFree()).toBe(true);
  });

  it('AC67: keeps a second plan out: that one has failed in its planning', async () => {
    await world.trigger('demo.Single');
    const second = await world.ask((engine) => engine.trigger({ action: 'demo.Single', input: {} }));
    expect(second.error).toMatchObject({ code: 'DYN_SINGLETON_ACTIVE' });
    expect(world.plan(second.plan).verdict).toBe('stopped/error');
    expect(world.plan(second.plan).states).toEqual(['error']);
  });

  it('AC68: is named to it, as already active, with the plan that has it', async () => {
    const first = await world.trigger('demo.Single');
    const second = await world.trigger('demo.Single');
    expect(world.plan(second).step(1).error?.message).toBe(
      `the action demo.Single is already active: the plan ${first} has it, and only one plan may at a time`,
    );
  });

  it('AC69: keeps the plan that had it from going on while another one has it: it stays paused, in error', async () => {
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    const second = await world.trigger('demo.Single');
    expect(world.plan(second).state).toBe('running');
    await expect(world.ask((engine) => engine.resume(first))).rejects.toThrow(SingletonActiveError);
    expect(world.plan(first).verdict).toBe('paused/error');
  });

  it('AC70: lets the plan that has it end', async () => {
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    const second = await world.trigger('demo.Single');
    await world.ask((engine) => engine.resume(first)).catch(() => undefined);
    await world.runAll();
    expect(world.plan(second).verdict).toBe('stopped/success');
  });

  it('AC71: is free after that, for the one that was kept out, too', async () => {
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    await world.trigger('demo.Single');
    await world.runAll();
    await world.ask((engine) => engine.resume(first));
    await world.runAll();
    expect(world.plan(first).verdict).toBe('stopped/success');
    expect(await isFree()).toBe(true);
  });

  it('AC73: is taken by another plan when its first one is paused', async () => {
    await world.trigger('demo.Single');
    await world.fail(await world.claim());
    const second = await world.trigger('demo.Single');
    expect(world.plan(second).state).toBe('running');
    expect(await isFree()).toBe(false);
  });

  it('AC74: is not given away by the end of a plan that has it no more', async () => {
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    await world.trigger('demo.Single');
    await world.ask((engine) => engine.halt(first));
    expect(await isFree()).toBe(false);
  });

  it('AC75: fails the first plan and lets the second succeed, when the first lost it', async () => {
    const first = await world.trigger('demo.Single');
    await world.fail(await world.claim());
    const second = await world.trigger('demo.Single');
    await expect(world.ask((engine) => engine.resume(first))).rejects.toMatchObject({ code: 'DYN_SINGLETON_ACTIVE' });
    await world.runAll();
    expect([world.plan(first).verdict, world.plan(second).verdict]).toEqual(['paused/error', 'stopped/success']);
  });

  it('is held wherever in the plan it is', async () => {
    world.actions.composite('demo.Root', [
      { kind: 'action', action: 'demo.A', input: {} },
      { kind: 'action', action: 'demo.Single', input: {} },
      { kind: 'action', action: 'demo.Single', input: {} },
    ]);
    const plan = await world.trigger('demo.Root');
    expect(world.plan(plan).state).toBe('running');
    expect(await isFree()).toBe(false);
    expect(world.plan(await world.trigger('demo.Root')).verdict).toBe('stopped/error');
  });

  it('is held from the planning on, also while an executor is asked', async () => {
    world.actions.asked('demo.Single', () => [{ kind: 'action', action: 'demo.A', input: {} }], { singleton: true });
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Single');
    expect(world.plan(plan).state).toBe('planning');
    expect(await isFree()).toBe(false);
    await world.ask((engine) => engine.cancel(plan));
    expect(await isFree()).toBe(true);
  });

  it('that an executor plans into a plan keeps that one out in time', async () => {
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.Single', input: {} }]);
    await world.trigger('demo.Single');
    const plan = await world.trigger('demo.Asked');
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(1).error).toMatchObject({ code: 'DYN_SINGLETON_ACTIVE' });
  });

  it('is not held by a plan that is scheduled, which fails if it is not free in its moment', async () => {
    const plan = await world.trigger('demo.Single', {}, { schedule: { startAtMs: world.clock.now() + 1_000 } });
    const second = await world.trigger('demo.Single');
    expect(world.plan(second).state).toBe('running');
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['delay']);
  });

  it('is held by the same plan after a restart', async () => {
    const first = await world.trigger('demo.Single');
    await world.restart();
    expect(await isFree()).toBe(false);
    await world.runAll();
    expect(world.plan(first).verdict).toBe('stopped/success');
    await world.restart();
    expect(await isFree()).toBe(true);
  });

  it('is free again when the plan that took it could not be written', async () => {
    world.store.failNextCommit();
    await expect(world.trigger('demo.Single')).rejects.toThrow('the store is away');
    expect(await isFree()).toBe(true);
  });

  it('is given to nobody while a plan is read again that might have it', async () => {
    const first = await world.trigger('demo.Single');
    const held = await world.claim();
    world.store.failNextCommit();
    const load = world.store.load.bind(world.store);
    world.store.load = () => {
      throw new Error('not yet');
    };
    await expect(world.finish(held)).rejects.toThrow('the store is away');
    await expect(world.trigger('demo.Single')).rejects.toThrow(UnavailableError);
    world.store.load = load;
    await world.advance(1_000);
    expect(world.plan(first).state).toBe('running');
    expect(await isFree()).toBe(false);
  });

  it('waits for its moment while plans are read again', async () => {
    const plan = await world.trigger('demo.Single', {}, { schedule: { startAtMs: world.clock.now() + 1_000 } });
    const other = await world.trigger('demo.A');
    const held = await world.claim({ plan: other });
    world.store.failNextCommit();
    const load = world.store.load.bind(world.store);
    world.store.load = () => {
      throw new Error('not yet');
    };
    await expect(world.finish(held)).rejects.toThrow('the store is away');
    await world.advance(1_500);
    expect(world.plan(plan).state).toBe('scheduled');
    world.store.load = load;
    await world.advance(2_000);
    await world.advance(2_000);
    expect(world.plan(plan).state).toBe('running');
  });
});
