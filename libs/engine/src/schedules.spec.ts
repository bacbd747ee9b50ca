import { beforeEach, describe, expect, it } from 'vitest';
import { InvalidInputError, NotFoundError, UnavailableError } from '@dynflow/kernel';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';
import type { SubPlanRequest } from '@dynflow/contracts';
import { PlanNotScheduledError } from './schedules.js';

const HOUR_MS = 3_600_000;

let world: EngineWorld;

/** Milliseconds from now, as a moment. */
const inMs = (ms: number): number => world.clock.now() + ms;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.A');
  world.actions.composite('demo.Root', [
    { kind: 'action', action: 'demo.A', input: { from: { $input: ['word'] } } },
    { kind: 'action', action: 'demo.A', input: {} },
  ]);
});

describe('a delayed plan', () => {
  it('FE1: is scheduled', async () => {
    const answer = await world.ask((engine) => engine.trigger({ action: 'demo.A', input: {}, schedule: { startAtMs: inMs(HOUR_MS) } }));
    expect(answer).toMatchObject({ created: true });
    expect(world.plan(answer.plan).verdict).toBe('scheduled/pending');
    expect(world.plan(answer.plan).row).toMatchObject({ startedAtMs: null, waitingFor: 'timer at 2026-01-01T01:00:00.000Z' });
  });

  it('FE7: has one step, which is pending', async () => {
    const plan = await world.trigger('demo.Root', { word: 'x' }, { schedule: { startAtMs: inMs(1) } });
    expect(world.plan(plan).steps).toMatchObject([{ id: 1, kind: 'plan', state: 'pending', action: 1 }]);
    expect(world.plan(plan).actions).toMatchObject([{ id: 1, name: 'demo.Root', input: { word: 'x' } }]);
  });

  it('FE8: has its start stored', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(5) } });
    expect(world.plan(plan).row.schedule).toEqual({ startAtMs: inMs(5), startBeforeMs: null, isFrozen: false, after: [] });
  });

  it('FE9: has a history of just its delay', async () => {
    expect(world.plan(await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(5) } })).history).toEqual(['delay']);
  });

  it('FE13: whose time has passed already begins at once', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(-1) } });
    expect(world.plan(plan).verdict).toBe('running/pending');
    expect(world.plan(plan).history).toEqual(['delay', 'start execution']);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('FE14: is planned in its time, its history unchanged by that', async () => {
    world.actions.local('gw.Batch', ({ event, input }) =>
      event === undefined
        ? suspended({ commands: [{ kind: 'spawn', children: input['children'] as unknown as SubPlanRequest[], concurrencyLimit: 1 }] })
        : event.kind === 'subPlans'
          ? done()
          : suspended(),
    );
    await world.trigger('gw.Batch', {
      children: [
        { id: 'first', action: 'demo.A', input: {} },
        { id: 'second', action: 'demo.Root', input: {}, schedule: { startAtMs: inMs(1_000) } },
      ],
    });
    expect(world.plan('second').verdict).toBe('scheduled/pending');
    await world.advance(1_000);
    expect(world.plan('second').verdict).toBe('planned/pending');
    expect(world.plan('second').states).toEqual(['success', 'success', 'pending', 'success', 'pending']);
    expect(world.plan('second').history).toEqual(['delay']);
  });

  it('FE15: is executed, with three entries of history', async () => {
    const plan = await world.trigger('demo.Root', {}, { schedule: { startAtMs: inMs(1_000) } });
    await world.advance(999);
    expect(world.plan(plan).state).toBe('scheduled');
    await world.advance(1);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).history).toEqual(['delay', 'start execution', 'finish execution']);
    expect(world.plan(plan).row).toMatchObject({ request: null, waitingFor: null, startedAtMs: world.clock.now() });
    expect(world.store.doubledRows).toEqual([]);
  });

  it('FE22: has the input that it was given, also after a restart', async () => {
    const input = { number: 1.5, word: 'x', list: [1, 'two', null], map: { deep: [{ a: true }] } };
    await world.trigger('demo.A', input, { schedule: { startAtMs: inMs(1_000) } });
    await world.restart();
    await world.advance(1_000);
    expect((await world.claim()).grant.input).toEqual(input);
  });

  it('is planned by whatever its action is when its time has come', async () => {
    const plan = await world.trigger('demo.Root', {}, { schedule: { startAtMs: inMs(1_000) } });
    world.actions.composite('demo.Root', [{ kind: 'action', action: 'demo.A', input: {} }], { version: 2 });
    await world.advance(1_000);
    expect(world.plan(plan).actions).toMatchObject([{ version: 2 }, { name: 'demo.A' }]);
    expect(world.plan(plan).steps).toHaveLength(3);
  });

  it('whose action is gone by then fails in words', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    world.actions.remove('demo.A');
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(1).error).toMatchObject({ code: 'DYN_UNKNOWN_ACTION' });
    expect(world.plan(plan).history).toEqual(['delay']);
  });

  it('FE2: that waits for an executor to plan it is asked for again after a restart', async () => {
    world.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.A', input: {} }]);
    const plan = await world.trigger('demo.Asked', {}, { schedule: { startAtMs: inMs(1_000) } });
    world.arePlannersAway = true;
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('planning/pending');
    expect(world.plan(plan).states).toEqual(['running']);
    expect(world.plan(plan).row.waitingFor).toBe('an executor of demo to plan it');
    await world.restart();
    world.arePlannersAway = false;
    await world.advance(1_000);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).history).toEqual(['delay', 'start execution', 'finish execution']);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('FE3: that runs is left alone: nothing looks at its schedule any more', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000), startBeforeMs: inMs(2_000) } });
    await world.advance(1_000);
    expect(world.clock.pending).toBe(0);
    await world.restart();
    await world.advance(2 * HOUR_MS);
    expect(world.plan(plan).verdict).toBe('running/pending');
    await expect(world.ask((engine) => engine.setFrozen(plan, true))).rejects.toThrow(PlanNotScheduledError);
  });

  it('of an unknown action is refused', async () => {
    await expect(world.trigger('demo.Nobody', {}, { schedule: { startAtMs: inMs(1) } })).rejects.toMatchObject({
      code: 'DYN_UNKNOWN_ACTION',
    });
    expect(world.plans).toEqual([]);
  });
});

describe('cancelling a delayed plan', () => {
  it('FE10: can be done', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    expect(await world.ask((engine) => engine.cancel(plan))).toBe(1);
  });

  it('FE11: stops it with that result', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) }, sealedSecrets: 'sealed' });
    await world.ask((engine) => engine.cancel(plan));
    expect(world.plan(plan).verdict).toBe('stopped/cancelled');
    expect(world.plan(plan).states).toEqual(['cancelled']);
    expect(world.plan(plan).history).toEqual(['delay', 'Delayed task cancelled']);
    expect(world.plan(plan).row).toMatchObject({ endedAtMs: world.clock.now(), sealedSecrets: null, waitingFor: null });
    expect(world.rested).toEqual([{ id: plan, state: 'stopped', result: 'cancelled' }]);
  });

  it('FE12: leaves nothing of its schedule that could begin it', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    await world.ask((engine) => engine.cancel(plan));
    expect(world.clock.pending).toBe(0);
    expect(world.engine.activePlans).toBe(0);
    await world.restart();
    await world.advance(2_000);
    expect(world.plan(plan).verdict).toBe('stopped/cancelled');
  });
});

describe('a plan that cannot begin in time', () => {
  it('FE16: is stopped in error', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true, startBeforeMs: inMs(1_000) } });
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.clock.pending).toBe(0);
  });

  it('FE17: says until when it should have begun', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startBeforeMs: inMs(-1) } });
    expect(world.plan(plan).step(1).error).toMatchObject({
      code: 'DYN_NOT_STARTED_IN_TIME',
      message: 'could not be started before the set time (2025-12-31T23:59:59.999Z)',
    });
  });

  it('FE18: has a history of delay and timeout', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startBeforeMs: inMs(-1) } });
    expect(world.plan(plan).history).toEqual(['delay', 'timeout']);
  });

  it('N5: begins at once when only a deadline is given, and it is not over', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startBeforeMs: inMs(1_000) } });
    expect(world.plan(plan).state).toBe('running');
    expect(world.clock.pending).toBe(0);
  });

  it('is found also while it waits for other plans', async () => {
    const first = await world.trigger('demo.A');
    const plan = await world.trigger('demo.A', {}, { schedule: { after: [first], startBeforeMs: inMs(1_000) } });
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['delay', 'timeout']);
  });

  it('is found after a restart during which its time went by', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(500), startBeforeMs: inMs(1_000) } });
    world.crash();
    await world.advance(2_000);
    await world.restart();
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).history).toEqual(['delay', 'timeout']);
  });
});

describe('a frozen plan', () => {
  it('does not begin, and says that an operator keeps it', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true, startAtMs: inMs(500) } });
    expect(world.plan(plan).row.waitingFor).toBe('operator: frozen, timer at 2026-01-01T00:00:00.500Z');
    expect(world.clock.pending).toBe(0);
    await world.restart();
    await world.advance(HOUR_MS);
    expect(world.plan(plan).state).toBe('scheduled');
  });

  it('begins when it is unfrozen after its moment', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true, startAtMs: inMs(500) } });
    await world.advance(1_000);
    await world.ask((engine) => engine.setFrozen(plan, false));
    expect(world.plan(plan).state).toBe('running');
  });

  it('begins at the new time that it is given', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(500) } });
    await world.ask((engine) => engine.setFrozen(plan, true));
    await world.advance(1_000);
    await world.ask((engine) => engine.setFrozen(plan, false, inMs(2_000)));
    await world.restart();
    await world.advance(1_999);
    expect(world.plan(plan).row).toMatchObject({ state: 'scheduled', waitingFor: 'timer at 2026-01-01T00:00:03.000Z' });
    await world.advance(1);
    expect(world.plan(plan).state).toBe('running');
  });

  it('is refused what makes no sense', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { isFrozen: true, startBeforeMs: inMs(1_000) } });
    await expect(world.ask((engine) => engine.setFrozen(plan, false, inMs(2_000)))).rejects.toThrow(InvalidInputError);
    await expect(world.ask((engine) => engine.setFrozen(plan, false, Number.NaN))).rejects.toThrow('epoch milliseconds');
    await expect(world.ask((engine) => engine.setFrozen('nobody', true))).rejects.toThrow(NotFoundError);
    expect(world.plan(plan).row.schedule).toMatchObject({ isFrozen: true, startAtMs: null });
    await world.ask((engine) => engine.cancel(plan));
    await expect(world.ask((engine) => engine.setFrozen(plan, true))).rejects.toThrow('only a scheduled plan');
  });
});

describe('the time of schedules', () => {
  it('FE19: is looked at when the engine starts, and then for each plan in its own time', async () => {
    const [due, later] = [
      await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } }),
      await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(HOUR_MS) } }),
    ];
    world.crash();
    await world.advance(2_000);
    await world.restart();
    expect([world.plan(due).state, world.plan(later).state]).toEqual(['running', 'scheduled']);
    await world.advance(HOUR_MS);
    expect(world.plan(later).state).toBe('running');
  });

  it('FE20: is set by the clock: the next look is at the next moment and not before', async () => {
    await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(HOUR_MS) } });
    expect(world.clock.nextAtMs).toBe(inMs(HOUR_MS));
    expect(world.clock.pending).toBe(1);
  });

  it('FE21: is not looked at any more when there is nothing left to begin', async () => {
    await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    await world.advance(1_000);
    await world.runAll();
    expect(world.clock.pending).toBe(0);
  });

  it('may jump forward', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(HOUR_MS) } });
    world.clock.jump(2 * HOUR_MS);
    await world.settle();
    expect(world.plan(plan).state).toBe('running');
  });

  it('may jump back: the plan waits on for its moment', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(HOUR_MS), startBeforeMs: inMs(2 * HOUR_MS) } });
    world.clock.jump(-HOUR_MS);
    await world.advance(2 * HOUR_MS - 1);
    expect(world.plan(plan).state).toBe('scheduled');
    await world.advance(1);
    expect(world.plan(plan).state).toBe('running');
  });

  it('may jump back after the timer rang: the plan is not begun too early', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(HOUR_MS) } });
    world.clock.advance(HOUR_MS);
    world.clock.jump(-1_000);
    await world.settle();
    expect(world.plan(plan).state).toBe('scheduled');
    await world.advance(1_000);
    expect(world.plan(plan).state).toBe('running');
  });

  it('is kept while the store is away', async () => {
    const plan = await world.trigger('demo.A', {}, { schedule: { startAtMs: inMs(1_000) } });
    world.store.isAway = true;
    await world.advance(5_000);
    world.store.isAway = false;
    await world.advance(1_000);
    expect(world.plan(plan).state).toBe('running');
  });

  it('is refused if the plan could never begin', async () => {
    const schedule = { startAtMs: inMs(2_000), startBeforeMs: inMs(1_000) };
    await expect(world.trigger('demo.A', {}, { schedule })).rejects.toMatchObject({ field: 'schedule.startBeforeMs' });
    await expect(world.trigger('demo.A', {}, { schedule: { startAtMs: 1e30 } })).rejects.toMatchObject({ field: 'schedule.startAtMs' });
    expect(world.plans).toEqual([]);
  });
});

describe('an action whose delay is asked of an executor', () => {
  beforeEach(() => {
    world.actions.executor('demo.Delayed', { delay: 'asked' });
  });

  it('FE5: tells the caller when it is refused', async () => {
    const error = { errorClass: 'DelayError', message: 'a host cannot be stored', kind: 'final' as const };
    world.actions.onDelay('demo.Delayed', () => ({ error }));
    const answer = await world.ask((engine) => engine.trigger({ action: 'demo.Delayed', input: {}, schedule: { startAtMs: inMs(1) } }));
    expect(answer.error).toEqual(error);
  });

  it('FE6: has failed then', async () => {
    world.actions.onDelay('demo.Delayed', () => ({ error: { errorClass: 'DelayError', message: 'no', kind: 'final' } }));
    const plan = await world.trigger('demo.Delayed', {}, { schedule: { startAtMs: inMs(1) } });
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).row.schedule).toBeNull();
    expect(world.engine.activePlans).toBe(0);
  });

  it('FE25: stores the input that the executor answers', async () => {
    world.actions.onDelay('demo.Delayed', ({ host }) => ({ input: { host_id: `id of ${String(host)}` } }));
    const plan = await world.trigger('demo.Delayed', { host: 'web' }, { schedule: { startAtMs: inMs(1_000) } });
    expect(world.plan(plan).action(1).input).toEqual({ host_id: 'id of web' });
    expect(world.plan(plan).row.request).toEqual({ action: 'demo.Delayed', input: { host_id: 'id of web' } });
  });

  it('FE26: is planned with what was stored', async () => {
    world.actions.onDelay('demo.Delayed', () => ({ input: { stored: true } }));
    await world.trigger('demo.Delayed', { stored: false }, { schedule: { startAtMs: inMs(1_000) } });
    await world.advance(1_000);
    expect((await world.claim()).grant.input).toEqual({ stored: true });
  });

  it('FE27: is asked once, however often the engine starts', async () => {
    let asked = 0;
    world.actions.onDelay('demo.Delayed', (input) => {
      asked += 1;
      return { input };
    });
    await world.trigger('demo.Delayed', {}, { schedule: { startAtMs: inMs(1_000) } });
    await world.restart();
    await world.advance(1_000);
    await world.trigger('demo.Delayed');
    expect(asked).toBe(1);
  });

  it('knows the schedule', async () => {
    let seen: unknown;
    world.actions.onDelay('demo.Delayed', (input, schedule) => {
      seen = schedule;
      return { input };
    });
    await world.trigger('demo.Delayed', {}, { schedule: { startAtMs: inMs(1_000) } });
    expect(seen).toEqual({ startAtMs: inMs(1_000), startBeforeMs: null, isFrozen: false, after: [] });
  });

  it('is not scheduled while nobody answers', async () => {
    world.arePlannersAway = true;
    await expect(world.trigger('demo.Delayed', {}, { schedule: { startAtMs: inMs(1_000) } })).rejects.toThrow(UnavailableError);
    expect(world.plans).toEqual([]);
  });

  it('is asked also for sub-plans, which are made when somebody answers', async () => {
    world.actions.onDelay('demo.Delayed', () => ({ input: { changed: true } }));
    world.actions.local('gw.Parent', ({ event }) =>
      event?.kind === 'subPlans'
        ? done()
        : suspended(
            event === undefined
              ? {
                  commands: [
                    {
                      kind: 'spawn',
                      children: [{ id: 'child', action: 'demo.Delayed', input: {}, schedule: { startAtMs: inMs(60_000) } }],
                    },
                  ],
                }
              : {},
          ),
    );
    world.arePlannersAway = true;
    const parent = await world.trigger('gw.Parent');
    await world.advance(5_000);
    world.arePlannersAway = false;
    await world.advance(60_000);
    await world.runAll();
    expect(world.plan('child').action(1).input).toEqual({ changed: true });
    expect(world.plan(parent).verdict).toBe('stopped/success');
  });
});
