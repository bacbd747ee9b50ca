import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JsonObject } from '@dynflow/kernel';
import type { SubPlanRequest } from '@dynflow/contracts';
import { defineAction } from './action.js';
import { planAction, planSelf } from './plan-dsl.js';
import { defineSubPlansAction } from './sub-plans-action.js';
import { Family } from './spec-support/family.js';
import { DemoWorld } from './spec-support/plugin-in-world.js';

describe('an action with sub-plans', () => {
  describe('that succeed', () => {
    let family: Family;
    beforeAll(async () => {
      family = await new Family().begin(2);
      await family.finish();
    });

    it('AC31: is known to its sub-plans', () => {
      expect(family.children.map(({ row }) => [row.callerPlan, row.callerAction])).toEqual([
        [family.plan, 1],
        [family.plan, 1],
      ]);
    });
    it('AC32: finds them all', async () => {
      await family.world.trigger('demo.Child', { n: 0 });
      expect(family.children.map((child) => child.output())).toEqual([{}, {}]);
    });
    it('AC33: counts them', () => {
      expect(family.counters).toMatchObject({ total_count: family.children.length, planned_count: family.children.length });
    });
    it('AC38: has their counts in its output: all, success, failed, pending', () => {
      expect(family.counters).toEqual({
        total_count: 2,
        planned_count: 2,
        success_count: 2,
        failed_count: 0,
        cancelled_count: 0,
        pending_count: 0,
      });
      expect(family.parent.verdict).toBe('stopped/success');
    });
  });

  describe('is the root', () => {
    let demo: DemoWorld;
    let plan: string;
    let child: string;
    beforeAll(async () => {
      const input = z.object({});
      const plans = [planSelf(), planAction('demo.Leaf', {})];
      const batch = (): SubPlanRequest[] => [{ action: 'demo.Child', input: {} }];
      const run = async (): Promise<JsonObject> => Promise.resolve({});
      demo = new DemoWorld({
        local: [defineSubPlansAction({ name: 'Tree', input, plan: plans, totalCount: () => 1, batch })],
        executor: [defineAction({ name: 'Child', input, plan: plans, run }), defineAction({ name: 'Leaf', input, run })],
      });
      plan = await demo.world.trigger('demo.Tree');
      child = demo.world.plans.find(({ row }) => row.callerPlan === plan)?.row.id ?? '';
    });
    const callers = (of: string): unknown[] => demo.world.plan(of).actions.map((action) => [action.callerPlan, action.callerAction]);

    it('AC34: of its own plan', () => {
      expect(callers(plan)[0]).toEqual([null, null]);
    });
    it('AC35: and what it plans there is not', () => {
      expect(callers(plan)[1]).toEqual([null, 1]);
    });
    it('AC36: and the main action of its sub-plan is one too', () => {
      expect(callers(child)[0]).toEqual([plan, 1]);
    });
    it('AC37: and what that plans is not', () => {
      expect(callers(child)[1]).toEqual([null, 1]);
    });
  });

  describe('that fail', () => {
    let family: Family;
    beforeAll(async () => {
      family = await new Family().begin(2);
      await family.fail();
    });

    it('AC39: counts them', () => {
      expect(family.counters).toMatchObject({ total_count: 2, failed_count: 2, success_count: 0, pending_count: 0 });
    });
    it('AC40: pauses in error, and says how many', () => {
      expect(family.parent.verdict).toBe('paused/error');
      expect(family.parent.step(2).error).toMatchObject({
        errorClass: 'SubtaskFailed',
        message: 'A sub task failed: of 2 sub-plans 2 failed, 0 were cancelled, 0 succeeded',
      });
    });
  });

  it('AC41: is told when it is resumed', async () => {
    const family = await new Family({ onResume: ({ counters }) => ({ resumed_with: counters.failed_count }) }).begin(2);
    await family.fail();
    expect(family.counters).not.toHaveProperty('resumed_with');
    await family.resume();
    expect(family.counters).toMatchObject({ resumed_with: 2 });
  });

  it('AC42: asks for them again if none could be planned', async () => {
    const family = await new Family().childrenAreGone().begin(2);
    expect(family.parent.verdict).toBe('paused/error');
    family.childrenAreBack();
    await family.resume();
    await family.finish();
    expect(family.parent.verdict).toBe('stopped/success');
  });

  describe('resumed after failures', () => {
    let family: Family;
    const seen: string[] = [];
    beforeAll(async () => {
      family = await new Family().begin(3);
      await family.fail();
      await family.resume();
      seen.push(family.parent.verdict);
      await family.rerun(2);
      await family.resume();
      seen.push(family.parent.verdict);
      await family.rerun();
      await family.resume();
      seen.push(family.parent.verdict);
    });

    it('AC43: stays paused while none was run again', () => {
      expect(seen[0]).toBe('paused/error');
    });
    it('AC44: stays paused while only some were', () => {
      expect(seen[1]).toBe('paused/error');
    });
    it('AC45: succeeds when all have finished', () => {
      expect(seen[2]).toBe('stopped/success');
      expect(family.counters).toMatchObject({ success_count: 3, failed_count: 0 });
    });
  });

  describe('none of which can be planned', () => {
    let family: Family;
    let first: { verdict: string; timers: number; children: number };
    let second: { timers: number; children: number; counters: unknown };
    beforeAll(async () => {
      family = await new Family().childrenAreGone().begin(2);
      first = { verdict: family.parent.verdict, timers: family.world.clock.pending, children: family.children.length };
      family.childrenAreBack();
      await family.resume();
      second = { timers: family.world.clock.pending, children: family.children.length, counters: family.counters };
      await family.finish();
    });

    it('AC46: pauses', () => {
      expect(first).toEqual({ verdict: 'paused/error', timers: 0, children: 2 });
    });
    it('AC47: makes a second generation when it is resumed', () => {
      expect(second).toMatchObject({ children: 4, counters: { total_count: 2, planned_count: 2, failed_count: 0, pending_count: 2 } });
    });
    it('AC48: and ends in success with that', () => {
      expect({ timers: second.timers, verdict: family.parent.verdict }).toEqual({ timers: 1, verdict: 'stopped/success' });
    });
  });

  describe('that fail while it looks after them', () => {
    let family: Family;
    let paused: { before: number; after: number; verdict: string };
    beforeAll(async () => {
      family = await new Family().begin(2);
      const before = family.world.clock.pending;
      await family.fail();
      paused = { before, after: family.world.clock.pending, verdict: family.parent.verdict };
      await family.rerun();
      await family.resume();
    });

    it('AC49: pauses, and its one timer is gone', () => {
      expect(paused).toEqual({ before: 1, after: 0, verdict: 'paused/error' });
    });
    it('AC50: ends in success at once when they have been run again', () => {
      expect({ verdict: family.parent.verdict, timers: family.world.clock.pending }).toEqual({ verdict: 'stopped/success', timers: 0 });
    });
  });

  it('AC51: can be cancelled while its sub-plans wait', async () => {
    const family = await new Family().begin(2);
    await family.world.suspend(await family.world.claim());
    expect(family.world.engine.isCancellable(family.plan)).toBe(true);
    await family.cancel();
    expect(family.world.engine.isCancellable(family.plan)).toBe(false);
  });

  it('AC52: hands a cancel on to them, and succeeds if they do', async () => {
    const family = await new Family().begin(2);
    const held = [await family.world.claim(), await family.world.claim()];
    await family.cancel();
    expect(held.map(({ events }) => events)).toEqual([[{ kind: 'cancel', force: false }], [{ kind: 'cancel', force: false }]]);
    for (const step of held) {
      await family.world.finish(step);
    }
    expect(family.parent.verdict).toBe('stopped/success');
  });

  it('AC53: hands on that a cancel is by force', async () => {
    const family = await new Family().begin(2);
    const held = [await family.world.claim(), await family.world.claim()];
    await family.cancel(true);
    expect(held.map(({ events }) => events)).toEqual([[{ kind: 'cancel', force: true }], [{ kind: 'cancel', force: true }]]);
  });

  describe('looks after them by a timer', () => {
    let family: Family;
    let seen: { planned: number; running: number };
    beforeAll(async () => {
      family = new Family();
      // Nothing has been executed yet: its planning is answered first.
      const { hold } = family.world.store;
      hold.call(family.world.store);
      const begun = family.world.begin((engine) => engine.trigger({ id: 'p', action: 'demo.Parent', input: { count: 2 } }));
      await family.world.settle();
      const planned = family.world.clock.pending;
      family.world.store.letGo();
      await begun;
      family.plan = 'p';
      await family.world.settle();
      seen = { planned, running: family.world.clock.pending };
      await family.finish();
    });

    it('AC54: which planning does not set', () => {
      expect(seen.planned).toBe(0);
    });
    it('AC55: of which there is one while they run', () => {
      expect(seen.running).toBe(1);
    });
    it('AC56: which is gone when they have ended, with it', () => {
      expect({ timers: family.world.clock.pending, verdict: family.parent.verdict }).toEqual({ timers: 0, verdict: 'stopped/success' });
    });
  });

  describe('tells when all are made', () => {
    const told: number[] = [];
    let before: number;
    beforeAll(async () => {
      const family = new Family({
        batchSize: 2,
        onPlanningFinished: ({ counters }) => void told.push(counters.planned_count),
      });
      before = told.length;
      await family.begin(5);
      await family.world.restart();
      await family.finish();
      expect(family.parent.verdict).toBe('stopped/success');
    });

    it('AC57: not before it is executed', () => {
      expect(before).toBe(0);
    });
    it('AC58: and once', () => {
      expect(told).toEqual([5]);
    });
  });

  describe('looks after them', () => {
    let family: Family;
    let isThere: number;
    let ticks: number;
    beforeAll(async () => {
      family = await new Family({ pollingIntervalMs: 10_000 }).begin(1);
      isThere = family.world.clock.pending;
      const { commits } = family.world.store;
      const before = commits.length;
      await family.world.advance(10_000);
      ticks = commits.length - before;
      await family.finish();
    });

    it('AC59: as soon as they are made', () => {
      expect(isThere).toBe(1);
    });
    it('AC60: once a tick, until it ends', () => {
      expect({ ticks, timers: family.world.clock.pending, verdict: family.parent.verdict }).toEqual({
        ticks: 1,
        timers: 0,
        verdict: 'stopped/success',
      });
    });
  });

  it('AC61: says a tenth while there is nothing to count', async () => {
    const family = await new Family({ batch: () => [] }).begin(0);
    expect(family.parent.verdict).toBe('stopped/success');
    const { progressOf } = await import('./sub-plans-counts.js');
    const none = { total_count: 0, planned_count: 0, success_count: 0, failed_count: 0, cancelled_count: 0, pending_count: 0 };
    expect(progressOf(none)).toBe(0.1);
  });

  it('says how much is done by what has ended', async () => {
    const family = await new Family().begin(4);
    await family.finish(1);
    expect(family.parent.step(2)).toMatchObject({ progress: 0.25, waitingFor: 'its sub-plans (3 of 4 are not at rest)' });
  });
});

describe('batches', () => {
  it('BT1: of five make twenty sub-plans in four goes', async () => {
    const family = await new Family({ batchSize: 5 }).begin(20);
    expect(family.batches).toEqual([
      [0, 5],
      [5, 5],
      [10, 5],
      [15, 5],
    ]);
    expect(family.children).toHaveLength(20);
  });

  describe('the first of which cannot be planned', () => {
    let family: Family;
    let first: { batches: number; verdict: string };
    beforeAll(async () => {
      family = await new Family({ batchSize: 5 }).childrenAreGone().begin(20);
      first = { batches: family.batches.length, verdict: family.parent.verdict };
      family.childrenAreBack();
      await family.resume();
      await family.finish();
    });

    it('BT2: stay at that one', () => {
      expect(first.batches).toBe(1);
    });
    it('BT3: pause their caller', () => {
      expect(first.verdict).toBe('paused/error');
    });
    it('BT4: begin again when it is resumed, and end', () => {
      expect(family.parent.verdict).toBe('stopped/success');
    });
    it('BT5: are asked for all, and the one that failed', () => {
      expect(family.batches).toHaveLength(4 + 1);
    });
    it('BT6: have the right total after that', () => {
      expect(family.counters['total_count']).toBe(20);
    });
    it('BT7: have the right number of successes after that', () => {
      expect(family.counters['success_count']).toBe(20);
    });
  });

  describe('at their end', () => {
    let family: Family;
    let asked: number;
    beforeAll(async () => {
      family = await new Family({ batchSize: 5 }).begin(20);
      asked = family.batches.length;
      await family.world.advance(15_000);
      await family.finish();
    });

    it('BT8: are not followed by another', () => {
      expect({ asked, batches: family.batches.length }).toEqual({ asked: 4, batches: 4 });
    });
    it('BT9: leave nothing that is not planned', () => {
      const { total_count: total, planned_count: planned } = family.counters;
      expect({ total, planned }).toEqual({ total: 20, planned: 20 });
    });
  });

  it('BT10: do not believe counters that somebody has changed', async () => {
    const family = await new Family({ batchSize: 5 }).begin(6);
    const tampered = { ...family.counters, pending_count: 0, success_count: 77, planned_count: 1 };
    const stored = family.world.store.read(family.plan);
    const [action] = stored?.actions ?? [];
    await family.world.store.commit({
      ...{ newPlans: [], newActions: [], newSteps: [], plans: [], steps: [], chunks: [] },
      actions: [{ ...action!, output: tampered }],
    });
    await family.world.restart();
    await family.finish(3);
    expect(family.counters).toMatchObject({ total_count: 6, planned_count: 6, success_count: 3, pending_count: 3 });
    expect(family.children).toHaveLength(6);
  });

  it('cost in proportion to what they make: rows, bytes and calls', async () => {
    const costOf = async (count: number): Promise<{ rows: number; bytes: number; batches: number }> => {
      const family = await new Family({ concurrencyLimit: 20 }).begin(count);
      await family.finish();
      expect(family.parent.verdict).toBe('stopped/success');
      const rows = family.world.store.commits.flatMap((changes) => Object.values(changes).flat());
      return { rows: rows.length, bytes: JSON.stringify(rows).length, batches: family.batches.length };
    };
    const [few, many] = [await costOf(100), await costOf(400)];
    expect(many.rows / few.rows).toBeLessThan(4.2);
    expect(many.bytes / few.bytes).toBeLessThan(4.3);
    expect(many.batches / few.batches).toBeLessThan(5);
  });

  it('are never larger than 500', async () => {
    const family = await new Family({ batchSize: 10_000 }).begin(1_200);
    expect(family.batches).toEqual([
      [0, 500],
      [500, 500],
      [1_000, 200],
    ]);
  });

  it('that give nothing, or too much, fail their caller in words', async () => {
    for (const size of [0, 3]) {
      const family = new Family({ batch: () => Array.from({ length: size }, () => ({ action: 'demo.Child', input: { n: 1 } })) });
      await family.begin(2);
      expect(family.parent.step(2).error).toMatchObject({ message: `asked for 2 sub-plans from 0 on, "batch" gave ${size}` });
    }
  });
});
