import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '@dynflow/persistence';
import { EngineWorld, type PlanRecord } from '@dynflow/testing/engine';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';
import { breakable, child, concurrence, present } from './stories.js';

describe('a plan that waited when its gateway died', () => {
  const world = new EngineWorld();
  let id: string;
  let adopted: PlanRecord;
  let finished: PlanRecord;
  beforeAll(async () => {
    world.actions.executor('demo.A');
    id = await world.trigger('demo.A', {}, { id: 'waiting' });
    await world.suspend(await world.claim());
    await world.restart();
    adopted = world.plan(id);
    await world.ask((engine) => engine.sendEvent(id, 2, { word: 'go on' }));
    const held = await world.claim();
    await world.finish(held, { got: held.grant.events });
    finished = world.plan(id);
  });

  it('AR3: is adopted by the next one', () => {
    expect(adopted.step(2).state).toBe('suspended');
    expect(adopted.row.history.at(-1)).toMatchObject({ name: 'start execution', world: 'world-2' });
  });

  it('AR4: ends in success there when its event has come', () => {
    expect(finished.verdict).toBe('stopped/success');
    expect(finished.output()).toEqual({ got: [{ word: 'go on' }] });
  });

  it('AR5: has a history of start, terminate, start and finish', () => {
    expect(finished.history).toEqual(['start execution', 'terminate execution', 'start execution', 'finish execution']);
  });

  it('AR6: names both worlds in it', () => {
    expect(finished.row.history.map((entry) => entry.world)).toEqual(['world-1', 'world-1', 'world-2', 'world-2']);
  });

  it('AR7: tells whoever triggered it how it ended', () => {
    expect(world.rested).toEqual([{ id: 'waiting', state: 'stopped', result: 'success' }]);
  });
});

describe('a plan whose gateway died, and no other is there', () => {
  let stored: PlanRecord;
  let finished: PlanRecord;
  beforeAll(async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const id = await world.trigger('demo.A');
    await world.suspend(await world.claim(), {}, 60_000);
    world.crash();
    await world.advance(3_600_000);
    stored = world.plan(id);
    await world.restart();
    await world.runAll();
    finished = world.plan(id);
  });

  it('AR8: stays as it was stored, and goes on when one comes', () => {
    expect(stored.state).toBe('running');
    expect(stored.step(2).state).toBe('suspended');
    expect(finished.verdict).toBe('stopped/success');
  });

  it('AR9: has no result yet, and no error', () => {
    expect(stored.result).toBe('pending');
  });

  it('AR10: names the dead one for its start and its end', () => {
    expect(finished.row.history.slice(0, 2)).toMatchObject([
      { name: 'start execution', world: 'world-1' },
      { name: 'terminate execution', world: 'world-1' },
    ]);
  });
});

describe('rescue after a restart', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Failing', { rescueStrategy: 'Skip' });
    world.actions.executor('demo.Long');
    world.actions.composite('demo.Root', [concurrence(child('demo.Failing'), child('demo.Long'))]);
    const id = await world.trigger('demo.Root');
    const failing = await world.claim();
    const long = await world.claim();
    await world.fail(failing);
    await world.restart();
    await world.finish(long);
    plan = world.plan(id);
  });

  it('AR11: is done by itself when nothing is outstanding any more', () => {
    expect(plan.state).toBe('stopped');
  });

  it('AR12: leaves the failed step skipped', () => {
    expect(plan.step(3).state).toBe('skipped');
    expect(plan.result).toBe('warning');
  });
});

describe('what a restart leaves alone', () => {
  it('AR2: needs nobody who executes', async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    await world.trigger('demo.A');
    world.tokens.length = 0;
    await world.restart();
    expect(world.executors).toEqual([]);
    expect(world.engine.activePlans).toBe(1);
    expect(world.tokens).toHaveLength(1);
  });

  it('AR13: writes nothing when there is nothing to recover', async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    await world.trigger('demo.A');
    await world.runAll();
    const before = world.store.commits.length;
    await world.restart();
    expect(world.store.commits.length).toBe(before);
    expect(world.engine.activePlans).toBe(0);
  });

  it('AR15: a claim of a plan that is gone holds nobody up: its holder forgets it', async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    await world.trigger('demo.A');
    const held = await world.claim();
    world.store.loadUnfinished = () => [];
    world.store.load = () => null;
    await world.restart();
    expect(world.engine.claimHolders()).toEqual([]);
    await world.finish(held);
    expect(world.executor('demo').unconfirmed.size).toBe(0);
  });

  it('AR28: a plan that is paused with an error stays paused', async () => {
    const world = await pausedThenRestarted();
    expect(world.plan('paused').verdict).toBe('paused/error');
    expect(world.engine.activePlans).toBe(0);
  });

  it('AR29: its history stays start and pause', async () => {
    expect((await pausedThenRestarted()).plan('paused').history).toEqual(['start execution', 'pause execution']);
  });

  async function pausedThenRestarted(): Promise<EngineWorld> {
    const { world, declare, broken } = breakable();
    declare('demo.A');
    broken.add('demo.A run');
    await world.trigger('demo.A', {}, { id: 'paused' });
    await world.runAll();
    await world.restart();
    return world;
  }
});

describe('a gateway that died while it planned', () => {
  it('AR17: had committed the plan: it is executed', async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    world.store.onCommit = () => world.crash();
    await world.trigger('demo.A', {}, { id: 'planned' }).catch(() => undefined);
    world.store.onCommit = undefined;
    world.tokens.length = 0;
    await world.restart();
    await world.runAll();
    expect(world.plan('planned').verdict).toBe('stopped/success');
  });

  async function inPlanning(): Promise<EngineWorld> {
    const { world, declare } = breakable();
    declare('demo.A');
    world.actions.asked('demo.Asked', () => [child('demo.A')]);
    world.arePlannersAway = true;
    await world.trigger('demo.Asked', {}, { id: 'asked' });
    await world.restart();
    return world;
  }

  it('AR19: had asked for a plan and had no answer: nothing of it is executed as it is', async () => {
    const world = await inPlanning();
    expect(world.plan('asked').verdict).toBe('planning/pending');
    expect(world.tokens).toEqual([]);
  });

  it('AR20: and nothing keeps it from being planned when somebody answers', async () => {
    const world = await inPlanning();
    world.arePlannersAway = false;
    await world.advance(1_000);
    await world.runAll();
    expect(world.plan('asked').verdict).toBe('stopped/success');
  });

  it('AR21: gets an answer for a plan that is gone: nothing is made of it', async () => {
    const world = await inPlanning();
    let writes = 0;
    world.store.load = () => null;
    world.store.commit = () => {
      writes += 1;
      throw new Error('no row to change');
    };
    await world.ask((engine) => engine.cancel('asked')).catch(() => undefined);
    expect(writes).toBe(1);
    world.arePlannersAway = false;
    await world.advance(5_000);
    expect(writes).toBe(1);
    expect(world.tokens).toEqual([]);
  });
});

describe('work that was triggered while nobody executed', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    const { world, declare } = breakable();
    declare('demo.A');
    const id = await world.trigger('demo.A');
    await world.advance(3_600_000);
    expect(world.executors).toEqual([]);
    await world.runAll();
    plan = world.plan(id);
  });

  it('AR24: runs when an executor comes', () => {
    expect(plan.verdict).toBe('stopped/success');
    expect(plan.output()).toMatchObject({ run: 1 });
  });

  it('AR25: has only start and finish in its history', () => {
    expect(plan.history).toEqual(['start execution', 'finish execution']);
  });
});

describe('a gateway that was stopped in good order', () => {
  let directory: string;
  let lab: GatewayLab;
  let id: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conformance-'));
    const url = `sqlite:${directory}/dynflow.db`;
    const first = await startGatewayLab({ DYNFLOW_DATABASE_URL: url });
    ({ plan: id } = await first.core.service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } }));
    await first.core.stop();
    // A process that died without a word: its lease has an hour to go.
    const database = await openDatabase({ url });
    await database.shards.take('the dead one', { leaseMs: 3_600_000, limit: 1 });
    await database.close();
    lab = await startGatewayLab({ DYNFLOW_DATABASE_URL: url });
    await lab.core.service.cancel(id);
    await lab.rested(id);
  });
  afterAll(async () => {
    await lab.core.stop();
    await rm(directory, { recursive: true });
  });

  it('AR26: leaves its plans to the next one, which goes on with them', async () => {
    const [view] = await lab.core.service.plans([id]);
    expect(view).toMatchObject({ state: 'stopped', result: 'success' });
  });

  it('AR27: with the history of an adoption', async () => {
    const [view] = await lab.core.service.plans([id]);
    expect(present(view).history.map(({ name }) => name)).toEqual([
      'start execution',
      'terminate execution',
      'start execution',
      'finish execution',
    ]);
  });

  it('AR30: the next one clears away a record that was left', async () => {
    await lab.core.stop();
    const database = await openDatabase({ url: `sqlite:${directory}/dynflow.db` });
    expect(await database.shards.all()).toEqual([{ id: 0, owner: null, epoch: 3, expiresAtMs: 0 }]);
    await database.close();
  });
});

describe('executors that are gone', () => {
  interface Moment {
    readonly holders: readonly string[];
    readonly ofDead: string;
    readonly ofLiving: string;
    readonly answer: number;
  }
  const moments: Record<'afterADay' | 'livingAsked' | 'deadDeclared' | 'livingDeclared', Moment> = {} as never;
  beforeAll(async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    await world.trigger('demo.A', {}, { id: 'of dead' });
    await world.trigger('demo.A', {}, { id: 'of living' });
    await world.claim({ executor: 'dead' });
    await world.claim({ executor: 'living' });
    const look = (answer: number): Moment => ({
      holders: world.engine.claimHolders().map(({ plugin, executor, startId }) => `${plugin} ${executor} ${startId}`),
      ofDead: world.plan('of dead').step(2).state,
      ofLiving: world.plan('of living').step(2).state,
      answer,
    });
    const declare = (executor: string, isGone: (start: string) => boolean): Promise<number> =>
      world.ask((engine) => engine.executorLost('demo', executor, isGone));
    await world.advance(24 * 3_600_000);
    moments.afterADay = look(0);
    moments.livingAsked = look(await declare('living', (start) => start !== 'start-1'));
    moments.deadDeclared = look(await declare('dead', () => true));
    moments.livingDeclared = look(await declare('living', () => true));
  });

  it('AR33: are declared gone, with how many steps they held', () => {
    expect(moments.deadDeclared).toMatchObject({ answer: 1, ofDead: 'error' });
  });

  it('AR34: are not those that live: nothing of these is taken', () => {
    expect(moments.livingAsked).toMatchObject({ answer: 0, ofLiving: 'running' });
  });

  it('AR35: hold nothing afterwards', () => {
    expect(moments.deadDeclared.holders).not.toContain('demo dead start-1');
  });

  it('AR36: are reported as holders without anything happening to them', () => {
    expect(moments.afterADay.holders).toEqual(['demo dead start-1', 'demo living start-1']);
  });

  it('AR37: keep what they hold as long as nobody declares them gone', () => {
    expect(moments.livingAsked).toMatchObject({ ofDead: 'running', holders: ['demo dead start-1', 'demo living start-1'] });
  });

  it('AR38: are looked for one by one: only who was named is gone', () => {
    expect(moments.deadDeclared.holders).toEqual(['demo living start-1']);
  });

  it('AR39: others stay until they are named themselves', () => {
    expect(moments.deadDeclared.ofLiving).toBe('running');
    expect(moments.livingDeclared).toMatchObject({ ofLiving: 'error', answer: 1, holders: [] });
  });

  it('AR41: what a living one holds stays with it', () => {
    expect(moments.deadDeclared.holders).toContain('demo living start-1');
  });
});

describe('an executor that came back without what it held', () => {
  let world: EngineWorld;
  let lost: number;
  beforeAll(async () => {
    world = new EngineWorld();
    world.actions.executor('demo.A');
    for (const plan of ['old', 'new']) {
      await world.trigger('demo.A', {}, { id: plan });
      await world.claim({ plan });
      if (plan === 'old') {
        world.executor('demo').restart();
      }
    }
    await world.restart();
    lost = await world.ask((engine) => engine.executorLost('demo', 'e1', (start) => start !== 'start-2'));
  });

  it('AR40: loses what its earlier process held, also after a restart of the gateway', () => {
    expect(world.plan('old').step(2).error?.code).toBe('DYN_EXECUTOR_LOST');
  });

  it('AR42: is answered with how much that was', () => {
    expect(lost).toBe(1);
  });

  it('AR43: what it holds now is not counted', () => {
    expect(world.plan('new').step(2).state).toBe('running');
    expect(world.engine.claimHolders()).toEqual([{ plugin: 'demo', executor: 'e1', startId: 'start-2' }]);
  });
});

describe('a singleton after a restart', () => {
  async function restarted(change: (world: EngineWorld) => Promise<void>): Promise<string> {
    const world = new EngineWorld();
    world.actions.executor('demo.Single', { singleton: true });
    await world.trigger('demo.Single', {}, { id: 'first' });
    await change(world);
    await world.restart();
    return world.plan(await world.trigger('demo.Single')).verdict;
  }

  it('AR44: is still held by a plan that runs', async () => {
    expect(await restarted(() => Promise.resolve())).toBe('stopped/error');
  });

  it('AR45: is free when its plan is not there any more', async () => {
    const verdict = await restarted((world) => {
      world.store.loadUnfinished = () => [];
      return Promise.resolve();
    });
    expect(verdict).toBe('running/pending');
  });

  it('AR46: is free when its plan has stopped', async () => {
    const verdict = await restarted(async (world) => {
      await world.finish(await world.claim());
    });
    expect(verdict).toBe('running/pending');
  });
});

describe('a singleton whose plan has gone from memory', () => {
  it('AR16: is free', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.Single', { singleton: true });
    await world.trigger('demo.Single');
    const held = await world.claim();
    const { load } = world.store;
    world.store.load = () => null;
    world.store.failNextCommit(new Error('no row to change'));
    await world.finish(held).catch(() => undefined);
    world.store.load = load;
    expect(world.plan(await world.trigger('demo.Single')).state).toBe('running');
  });
});
