import { describe, expect, it } from 'vitest';
import type { PlanEvent, PlanEventKind } from '@dynflow/contracts';
import { EngineWorld, done } from '@dynflow/testing/engine';
import { statesUpTo } from './states.js';

const EVERYTHING: readonly PlanEventKind[] = [
  'pending',
  'scheduled',
  'planning',
  'planned',
  'running',
  'paused',
  'stopped',
  'success',
  'failure',
];

/** A world whose hooks hear of everything that happens to actions named so. */
function hookedWorld(...names: string[]): { world: EngineWorld; events: PlanEvent[] } {
  const events: PlanEvent[] = [];
  const kinds = new Set(EVERYTHING);
  const world: EngineWorld = new EngineWorld({
    hooks: {
      kindsOf: (action) => (names.includes(action) ? kinds : undefined),
      call: (event) => {
        // What a hook is told is in the store already.
        world.plan(event.plan);
        events.push(event);
      },
    },
  });
  return { world, events };
}

const said = (events: readonly PlanEvent[]): string[] => events.map(({ kind, action }) => `${action.name.slice(5)} ${kind}`);

describe('hooks', () => {
  it('hear of each state of a plan once, in order', async () => {
    const { world, events } = hookedWorld('demo.A');
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    await world.runAll();
    expect(said(events)).toEqual(['pending', 'planning', 'planned', 'running', 'stopped', 'success'].map((kind) => `A ${kind}`));
    expect(events.at(-1)).toEqual({
      kind: 'success',
      plan,
      label: 'demo.A',
      state: 'stopped',
      result: 'success',
      callerPlan: null,
      action: { id: 1, name: 'demo.A' },
      isRootAction: true,
    });
  });

  it('of actions that are planned by another hear from planned on', async () => {
    const { world, events } = hookedWorld('demo.A', 'demo.Root');
    world.actions.executor('demo.A');
    world.actions.composite('demo.Root', [{ kind: 'action', action: 'demo.A', input: {} }]);
    await world.trigger('demo.Root');
    expect(said(events)).toEqual(['Root pending', 'Root planning', 'Root planned', 'A planned', 'Root running', 'A running']);
    expect(events.map(({ isRootAction }) => isRootAction)).toEqual([true, true, true, false, true, false]);
  });

  it('hear of a plan that an executor plans when that has begun and when it has ended', async () => {
    const { world, events } = hookedWorld('demo.A', 'demo.Root');
    world.actions.executor('demo.A');
    world.actions.asked('demo.Root', () => [{ kind: 'action', action: 'demo.A', input: {} }]);
    world.arePlannersAway = true;
    await world.trigger('demo.Root');
    expect(said(events)).toEqual(['Root pending', 'Root planning']);
    world.arePlannersAway = false;
    await world.advance(1_000);
    expect(said(events).slice(2)).toEqual(['Root planned', 'A planned', 'Root running', 'A running']);
  });

  it('hear of a failed planning, a pause and what follows from it as of failures', async () => {
    const { world, events } = hookedWorld('demo.Broken', 'demo.A');
    world.actions.composite('demo.Broken', [{ kind: 'action', action: 'demo.None', input: {} }]);
    world.actions.executor('demo.A');
    await world.trigger('demo.Broken');
    expect(said(events)).toEqual(['Broken pending', 'Broken planning', 'Broken stopped', 'Broken failure']);
    const plan = await world.trigger('demo.A');
    await world.fail(await world.claim());
    await world.ask(async (engine) => engine.skip(plan, 2));
    await world.ask(async (engine) => engine.resume(plan));
    expect(said(events).slice(8)).toEqual(['A paused', 'A running', 'A stopped', 'A failure']);
    expect(events.at(-1)?.result).toBe('warning');
  });

  it('hear of nothing twice after a restart', async () => {
    const { world, events } = hookedWorld('demo.A');
    world.actions.executor('demo.A');
    await world.trigger('demo.A');
    await world.restart();
    await world.runAll();
    expect(said(events)).toEqual(['pending', 'planning', 'planned', 'running', 'stopped', 'success'].map((kind) => `A ${kind}`));
  });

  it('hear nothing of what was not committed', async () => {
    const { world, events } = hookedWorld('demo.A');
    world.actions.executor('demo.A');
    world.store.failNextCommit();
    await expect(world.trigger('demo.A')).rejects.toThrow('the store is away');
    expect(events).toEqual([]);
  });

  it('that throw change nothing and are reported', async () => {
    const world = new EngineWorld({
      hooks: {
        kindsOf: () => new Set(EVERYTHING),
        call: () => {
          throw new Error('a bug in a hook');
        },
      },
    });
    world.actions.local('demo.A', () => done());
    const plan = await world.trigger('demo.A');
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.faults).toContain('a hook of demo.A failed');
  });
});

describe('the way to a state', () => {
  it.each([
    [null, 'planned', ['pending', 'planning', 'planned']],
    [null, 'planning', ['pending', 'planning']],
    [null, 'scheduled', ['pending', 'scheduled']],
    [null, 'stopped', ['pending', 'planning', 'stopped']],
    [null, 'pending', ['pending']],
    ['planning', 'planned', ['planned']],
    ['planning', 'stopped', ['stopped']],
    ['scheduled', 'planned', ['planning', 'planned']],
  ] as const)('from %s to %s', (from, to, way) => {
    expect(statesUpTo(from, to)).toEqual(way);
  });
});
