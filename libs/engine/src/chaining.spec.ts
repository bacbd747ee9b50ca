import { beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import type { LocalResult, SubPlanRequest } from '@dynflow/contracts';
import { EngineWorld, done, suspended, type HeldStep } from '@dynflow/testing/engine';

let world: EngineWorld;

beforeEach(() => {
  world = new EngineWorld();
  world.actions.executor('demo.A');
  world.actions.executor('demo.Fail', { rescueStrategy: 'Fail' });
  world.actions.executor('demo.Skip', { rescueStrategy: 'Skip' });
});

/** A plan that begins after these. */
async function after(...plans: string[]): Promise<string> {
  return world.trigger('demo.A', {}, { schedule: { after: plans } });
}

async function held(plan: string): Promise<HeldStep> {
  return world.claim({ plan });
}

describe('a chained plan', () => {
  it('FE28: begins when its prerequisite has stopped', async () => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    expect(world.plan(plan).row).toMatchObject({ state: 'scheduled', waitingFor: `plan ${first}` });
    await world.finish(await held(first));
    expect(world.plan(plan).state).toBe('running');
    expect(world.clock.pending).toBe(0);
    await world.runAll();
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).history).toEqual(['delay', 'start execution', 'finish execution']);
  });

  it('FE29: does not begin after the first of two', async () => {
    const plans = [await world.trigger('demo.A'), await world.trigger('demo.A')];
    const plan = await after(...plans);
    await world.finish(await held(plans[0]!));
    expect(world.plan(plan).row).toMatchObject({ state: 'scheduled', waitingFor: `plan ${plans[1]}` });
  });

  it('FE30: begins after both', async () => {
    const plans = [await world.trigger('demo.A'), await world.trigger('demo.A')];
    const plan = await after(...plans);
    await world.finish(await held(plans[0]!));
    await world.finish(await held(plans[1]!));
    expect(world.plan(plan).state).toBe('running');
  });

  it('FE31: is taken up after a failed prerequisite, too', async () => {
    const first = await world.trigger('demo.Fail');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(plan).state).not.toBe('scheduled');
    expect(world.engine.activePlans).toBe(0);
  });

  it('FE32: is stopped in error then', async () => {
    const first = await world.trigger('demo.Fail');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).states).toEqual(['error']);
    expect(world.plan(plan).history).toEqual(['delay', 'failed-dependency']);
  });

  it('FE33: says that prerequisites failed', async () => {
    const first = await world.trigger('demo.Fail');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(plan).step(1).error).toMatchObject({
      code: 'DYN_PREREQUISITE_FAILED',
      message: expect.stringContaining('prerequisites failed') as string,
    });
  });

  it('FE34: names the one that failed', async () => {
    const first = await world.trigger('demo.Fail');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(plan).step(1).error?.message).toBe(`prerequisites failed: ${first} (error)`);
  });

  it('FE35: waits for the other prerequisite before it fails for the first', async () => {
    const plans = [await world.trigger('demo.Fail'), await world.trigger('demo.A')];
    const plan = await after(...plans);
    await world.fail(await held(plans[0]!));
    expect(world.plan(plan).row).toMatchObject({ state: 'scheduled', waitingFor: `plan ${plans[1]}` });
    await world.finish(await held(plans[1]!));
    expect(world.plan(plan).verdict).toBe('stopped/error');
  });

  it('FE36: names only the one of two that failed', async () => {
    const plans = [await world.trigger('demo.Fail'), await world.trigger('demo.A')];
    const plan = await after(...plans);
    await world.fail(await held(plans[0]!));
    await world.finish(await held(plans[1]!));
    expect(world.plan(plan).step(1).error?.message).toBe(`prerequisites failed: ${plans[0]} (error)`);
  });

  it('FE37: fails after a halted prerequisite', async () => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    await world.ask((engine) => engine.halt(first));
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(1).error?.message).toBe(`prerequisites failed: ${first} (halted)`);
  });

  it('fails after a cancelled one', async () => {
    const first = await world.trigger('demo.A', {}, { schedule: { isFrozen: true } });
    const plan = await after(first);
    await world.ask((engine) => engine.cancel(first));
    expect(world.plan(plan).step(1).error?.message).toBe(`prerequisites failed: ${first} (cancelled)`);
  });

  it('begins after one that ended with a warning', async () => {
    const first = await world.trigger('demo.Skip');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(first).verdict).toBe('stopped/warning');
    expect(world.plan(plan).state).toBe('running');
  });

  it('waits for a paused one, says so, and begins when that one has been resumed and ended', async () => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    await world.fail(await held(first));
    expect(world.plan(plan).row.waitingFor).toBe(`plan ${first} (paused)`);
    await world.ask((engine) => engine.resume(first));
    expect(world.plan(plan).row.waitingFor).toBe(`plan ${first}`);
    await world.finish(await held(first));
    expect(world.plan(plan).state).toBe('running');
  });

  it('on a plan that has stopped already begins at once', async () => {
    const first = await world.trigger('demo.A');
    await world.runAll();
    expect(world.plan(await after(first)).state).toBe('running');
  });

  it('waits for its time after its prerequisite, and fails at once when that failed', async () => {
    const plans = [await world.trigger('demo.A'), await world.trigger('demo.Fail')];
    const [good, bad] = await Promise.all(
      plans.map(async (first) => world.trigger('demo.A', {}, { schedule: { after: [first], startAtMs: world.clock.now() + 60_000 } })),
    );
    expect(world.plan(good!).row.waitingFor).toBe(`plan ${plans[0]}, timer at 2026-01-01T00:01:00.000Z`);
    await world.finish(await held(plans[0]!));
    await world.fail(await held(plans[1]!));
    expect([world.plan(good!).verdict, world.plan(bad!).verdict]).toEqual(['scheduled/pending', 'stopped/error']);
    await world.advance(60_000);
    expect(world.plan(good!).state).toBe('running');
  });

  it('fails after a failed one also when it has a deadline', async () => {
    const first = await world.trigger('demo.Fail');
    const schedule = { after: [first], startBeforeMs: world.clock.now() + 60_000 };
    const plan = await world.trigger('demo.A', {}, { schedule });
    await world.fail(await held(first));
    expect(world.plan(plan).history).toEqual(['delay', 'failed-dependency']);
    expect(world.clock.pending).toBe(0);
  });

  it('of a chain of plans begins one after the other', async () => {
    const [a, b, c] = [await world.trigger('demo.A'), '', ''] as [string, string, string];
    const second = await after(a);
    const third = await after(second);
    expect([b, c]).toEqual(['', '']);
    await world.finish(await held(a));
    expect([world.plan(second).state, world.plan(third).state]).toEqual(['running', 'scheduled']);
    await world.runAll();
    expect(world.plan(third).verdict).toBe('stopped/success');
  });

  it('names no more than five of many prerequisites', async () => {
    const plans: string[] = [];
    for (let count = 0; count < 7; count += 1) {
      plans.push(await world.trigger('demo.A'));
    }
    const plan = await after(...plans, plans[0]!);
    expect(world.plan(plan).row.schedule?.after).toEqual(plans);
    expect(world.plan(plan).row.waitingFor).toBe(
      `${plans
        .slice(0, 5)
        .map((id) => `plan ${id}`)
        .join(', ')}, 2 more plans`,
    );
  });
});

describe('a chained plan and a restart', () => {
  it('begins when its prerequisite ended while nobody could tell it', async () => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    const step = await held(first);
    // The process dies with the commit of the end.
    world.store.onCommit = () => world.crash();
    await world.finish(step).catch(() => undefined);
    world.store.onCommit = undefined;
    expect([world.plan(first).verdict, world.plan(plan).state]).toEqual(['stopped/success', 'scheduled']);
    await world.restart();
    expect(world.plan(plan).state).toBe('running');
  });

  it('asks the store once for all prerequisites that are not in memory', async () => {
    const paused = await world.trigger('demo.A');
    const plans = [
      await after(paused),
      await after(paused),
      await world.trigger('demo.A', {}, { schedule: { after: [paused], isFrozen: true } }),
    ];
    await world.fail(await held(paused));
    const asked: (readonly string[])[] = [];
    const verdicts = world.store.verdicts.bind(world.store);
    world.store.verdicts = (ids) => {
      asked.push(ids);
      return verdicts(ids);
    };
    await world.restart();
    expect(asked).toEqual([[paused]]);
    expect(plans.map((plan) => world.plan(plan).row.waitingFor)).toEqual([
      `plan ${paused} (paused)`,
      `plan ${paused} (paused)`,
      `operator: frozen, plan ${paused} (paused)`,
    ]);
    await world.ask((engine) => engine.resume(paused));
    await world.finish(await held(paused));
    expect(plans.map((plan) => world.plan(plan).state)).toEqual(['running', 'running', 'scheduled']);
  });

  it('fails when its prerequisite is gone, since nobody knows how that ended', async () => {
    const first = await world.trigger('demo.A');
    const plan = await world.trigger('demo.A', {}, { schedule: { after: [first], startAtMs: world.clock.now() + 60_000 } });
    await world.finish(await held(first));
    const verdicts = world.store.verdicts.bind(world.store);
    world.store.verdicts = (ids) => verdicts(ids.filter((id) => id !== first));
    await world.restart();
    expect(world.plan(plan).step(1).error?.message).toBe(`prerequisites failed: ${first} (not found any more)`);
  });

  it('waits while the store cannot say how its prerequisite stands', async () => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    const step = await held(first);
    world.store.onCommit = () => world.crash();
    await world.finish(step).catch(() => undefined);
    world.store.onCommit = undefined;
    const verdicts = world.store.verdicts.bind(world.store);
    world.store.verdicts = () => {
      throw new Error('away');
    };
    await world.restart();
    expect(world.plan(plan).state).toBe('scheduled');
    world.store.verdicts = verdicts;
    await world.advance(1_000);
    expect(world.plan(plan).state).toBe('running');
  });

  it.each([true, false])('hears of an end whose commit seemed to fail (it was written: %s)', async (isWritten) => {
    const first = await world.trigger('demo.A');
    const plan = await after(first);
    const step = await held(first);
    world.store.failNextCommit(undefined, { isWritten });
    await expect(world.finish(step)).rejects.toThrow('the store is away');
    for (const sent of world.executor('demo').unconfirmed.values()) {
      await world.ask(async () => world.executor('demo').send(sent));
    }
    expect(world.plan(first).verdict).toBe('stopped/success');
    expect(world.plan(plan).state).toBe('running');
  });
});

describe('prerequisites', () => {
  it('that do not exist are refused by name, and nothing is made', async () => {
    await expect(after('nobody')).rejects.toMatchObject({
      code: 'DYN_INVALID_INPUT',
      field: 'schedule.after',
      message: 'schedule.after: nobody is no plan',
    });
    expect(world.plans).toEqual([]);
  });

  it('N14: cannot form a circle: a plan waits only for plans that are there, and never for itself', async () => {
    await expect(world.trigger('demo.A', {}, { id: 'a', schedule: { after: ['a'] } })).rejects.toThrow('this plan itself');
    // Two that name each other in one request: the first of them names what is not there.
    const parent = await spawn([
      { id: 'b', action: 'demo.A', input: {}, schedule: { after: ['c'] } },
      { id: 'c', action: 'demo.A', input: {}, schedule: { after: ['b'] } },
    ]);
    expect(world.plan('b').verdict).toBe('stopped/error');
    expect(world.plan('b').step(1).error?.message).toBe('schedule.after: c is no plan');
    expect(world.plan('c').step(1).error?.message).toBe('prerequisites failed: b (error)');
    expect(world.plan(parent).verdict).toBe('stopped/success');
  });

  it('among sub-plans of one request may be those before', async () => {
    await spawn([
      { id: 'b', action: 'demo.A', input: {} },
      { id: 'c', action: 'demo.A', input: {}, schedule: { after: ['b'] } },
    ]);
    expect([world.plan('b').state, world.plan('c').state]).toEqual(['running', 'scheduled']);
    await world.runAll();
    expect(world.plan('c').verdict).toBe('stopped/success');
  });

  it.each([
    ['its own caller', (caller: string, _waits: string) => caller],
    ['one that waits for its caller', (_caller: string, waits: string) => waits],
  ])('of a sub-plan cannot be %s, which would wait for it', async (_, pick) => {
    world.actions.local(
      'gw.Late',
      batch(() => [{ id: 'child', action: 'demo.A', input: {}, schedule: { after: [pick('parent', 'waits')] } }], true),
    );
    await world.trigger('gw.Late', {}, { id: 'parent' });
    await world.trigger('demo.A', {}, { id: 'waits', schedule: { after: ['parent'] } });
    await world.ask((engine) => engine.sendEvent('parent', 2, 'spawn'));
    expect(world.plan('child').step(1).error?.message).toContain('waits for this plan, which could never begin');
    expect(world.plan('parent').verdict).toBe('stopped/success');
    await world.runAll();
    expect(world.plan('waits').verdict).toBe('stopped/success');
  });
});

/** A local action that makes these sub-plans, at once or when it is told to, and ends with the last of them. */
function batch(children: () => SubPlanRequest[], isLate = false) {
  return ({ event }: { event?: { kind: string } | undefined }): LocalResult => {
    if (event?.kind === (isLate ? 'external' : undefined)) {
      return suspended({ commands: [{ kind: 'spawn', children: children() }] });
    }
    const counts = event?.kind === 'subPlans' ? (event as unknown as { counts: { pending: number } & JsonObject }).counts : undefined;
    return counts?.pending === 0 ? done({ ...counts }) : suspended();
  };
}

async function spawn(children: SubPlanRequest[]): Promise<string> {
  world.actions.local(
    'gw.Batch',
    batch(() => children),
  );
  return world.trigger('gw.Batch');
}
