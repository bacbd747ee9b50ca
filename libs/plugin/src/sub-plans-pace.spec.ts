import { beforeAll, describe, expect, it } from 'vitest';
import { Family } from './spec-support/family.js';
import { intervalMsOf } from './sub-plans-pace.js';

const running = (family: Family): number => family.children.filter(({ state }) => state === 'running').length;
const waiting = (family: Family): number => family.children.filter(({ state }) => state === 'planned').length;

describe('a limit of sub-plans at once', () => {
  it('CC1: holds nothing back if there is none', async () => {
    const family = await new Family().begin(10);
    expect({ running: running(family), waiting: waiting(family) }).toEqual({ running: 10, waiting: 0 });
  });

  it('CC2: is never exceeded', async () => {
    const family = await new Family({ concurrencyLimit: 4 }).begin(10);
    let most = 0;
    while (family.parent.state === 'running') {
      most = Math.max(most, running(family));
      await family.finish(1);
    }
    expect({ most, verdicts: family.verdicts }).toEqual({ most: 4, verdicts: { 'stopped/success': 10 } });
  });

  it('may follow from the input', async () => {
    const family = await new Family({ concurrencyLimit: ({ count }) => count - 1 }).begin(4);
    expect(running(family)).toBe(3);
  });

  describe('of none', () => {
    let family: Family;
    let made: { verdicts: Record<string, number>; tokens: number };
    beforeAll(async () => {
      family = await new Family({ concurrencyLimit: 0 }).begin(10);
      await family.world.advance(60_000);
      made = { verdicts: family.verdicts, tokens: family.world.tokens.length };
      await family.cancel();
    });

    it('CC3: lets all be made and none begin', () => {
      expect(made).toEqual({ verdicts: { 'planned/pending': 10 }, tokens: 0 });
    });
    it('CC4: ends with all counted as cancelled when it is cancelled', () => {
      expect(family.parent.verdict).toBe('stopped/error');
      expect(family.counters).toMatchObject({ total_count: 10, cancelled_count: 10, failed_count: 0, success_count: 0 });
    });
    it('CC5: and none has run', () => {
      expect(family.children.map((child) => child.step(2).startedAtMs)).toEqual(Array.from({ length: 10 }, () => null));
    });
  });
});

describe('the time between two beginnings', () => {
  const over = (limit: number | null): number | null => intervalMsOf({ limit, spreadOverMs: 10_000 }, 10);

  it('CC6: is a second for ten over ten seconds, one at once', () => {
    expect(over(1)).toBe(1_000);
  });
  it('CC7: is a quarter of it, four at once', () => {
    expect(over(4)).toBe(250);
  });
  it('CC8: is a second without a limit', () => {
    expect(over(null)).toBe(1_000);
  });
  it('CC9: stands in the output', async () => {
    const family = await new Family({ concurrencyLimit: 4, spreadOverMs: 10_000 }).begin(10);
    expect(family.counters).toMatchObject({ concurrency_limit: 4, spread_over_ms: 10_000, start_interval_ms: 250 });
  });
});

describe('sub-plans that begin spread over time', () => {
  let family: Family;
  let first: { verdicts: Record<string, number>; counters: unknown };
  const waits: number[] = [];
  const unfinished: number[] = [];
  const started: number[] = [];
  let tookMs: number;
  let last: number;

  beforeAll(async () => {
    family = await new Family({ concurrencyLimit: 2, spreadOverMs: 10_000 }).begin(10);
    const { clock } = family.world;
    const beganAtMs = clock.now();
    await family.finish();
    first = { verdicts: family.verdicts, counters: family.counters };
    while (family.parent.state === 'running') {
      waits.push(waiting(family));
      unfinished.push(10 - Number(family.counters['success_count']));
      await family.world.advance((clock.nextAtMs ?? clock.now()) - clock.now());
      started.push(running(family));
      await family.finish();
    }
    tookMs = clock.now() - beganAtMs;
    last = waiting(family);
  });

  it('CC10: with a limit too: that many end, the others wait', () => {
    expect(first.verdicts).toEqual({ 'stopped/success': 2, 'planned/pending': 8 });
  });
  it('CC11: wait as planned and pending', () => {
    expect(first.verdicts).toHaveProperty('planned/pending', 8);
    expect(first.counters).toMatchObject({ planned_count: 10, pending_count: 8 });
  });
  it('CC12: are as many waiting as are not finished', () => {
    expect(waits).toEqual(unfinished);
  });
  it('CC13: begin one by one, each after the interval', () => {
    expect(started).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });
  it('CC14: have all begun after four seconds: ten, two at once, over ten', () => {
    expect(tookMs).toBe(4_000);
  });
  it('CC15: leave none waiting', () => {
    expect({ last, verdicts: family.verdicts }).toEqual({ last: 0, verdicts: { 'stopped/success': 10 } });
  });

  it('CC16: are never more than the limit at once, however much time passes', async () => {
    const slow = await new Family({ concurrencyLimit: 2, spreadOverMs: 10_000 }).begin(10);
    const seen: number[] = [];
    for (let step = 0; step < 8; step += 1) {
      await slow.world.advance(1_000);
      seen.push(running(slow));
      await slow.finish(step % 3);
    }
    expect(Math.max(...seen)).toBe(2);
  });

  it('CC17: that cannot be planned are not held up', async () => {
    const broken = await new Family({ concurrencyLimit: 2, spreadOverMs: 10_000 }).childrenAreGone().begin(10);
    expect(broken.verdicts).toEqual({ 'stopped/error': 10 });
    expect(broken.parent.verdict).toBe('paused/error');
  });

  it('keep their pace over restarts', async () => {
    const again = await new Family({ concurrencyLimit: 2, spreadOverMs: 10_000 }).begin(10);
    const { clock } = again.world;
    const beganAtMs = clock.now();
    while (again.parent.state === 'running') {
      await again.world.restart();
      expect(running(again)).toBeLessThanOrEqual(2);
      await again.finish();
      await again.world.restart();
      if (again.parent.state === 'running') {
        await again.world.advance((clock.nextAtMs ?? clock.now()) - clock.now());
      }
    }
    expect({ tookMs: clock.now() - beganAtMs, verdict: again.parent.verdict }).toEqual({ tookMs: 4_000, verdict: 'stopped/success' });
  });

  describe('and take longer than that', () => {
    let slow: Family;
    let before: Record<string, number>;
    beforeAll(async () => {
      slow = await new Family({ concurrencyLimit: 1, spreadOverMs: 10_000 }).begin(5);
      await slow.world.advance(9_999);
      before = slow.verdicts;
      await slow.world.advance(1);
      await slow.finish();
    });

    it('CC18: with a limit of one: one runs, the others are planned', () => {
      expect(before).toEqual({ 'running/pending': 1, 'planned/pending': 4 });
    });
    it('CC19: end their caller when the time is over', () => {
      expect(slow.parent.verdict).toBe('paused/error');
      expect(slow.counters).toMatchObject({ success_count: 1, cancelled_count: 4, pending_count: 0 });
    });
    it('CC20: have succeeded if they began, and have not if they did not', () => {
      expect(slow.verdicts).toEqual({ 'stopped/success': 1, 'stopped/error': 4 });
      expect(slow.children[4]?.step(2).error).toMatchObject({
        code: 'DYN_CANCELLED',
        message: 'The time in which it was to begin is over: 10 s after its parent began.',
      });
    });
  });
});

describe('sub-plans that are made as they may begin', () => {
  describe('fewer than a batch', () => {
    let family: Family;
    let first: { counters: unknown; timers: number; atMs: number; nextMs: number | null };
    let second: number | null;
    let verdict: string;
    beforeAll(async () => {
      family = await new Family().begin(10);
      const { clock } = family.world;
      first = { counters: family.counters, timers: clock.pending, atMs: clock.now(), nextMs: clock.nextAtMs };
      await family.world.advance(15_000);
      second = clock.nextAtMs;
      await family.finish();
      ({ verdict } = family.parent);
    });

    it('SP1: are made in one go and counted', () => {
      expect(family.batches).toEqual([[0, 10]]);
      expect(first.counters).toMatchObject({ total_count: 10, planned_count: 10, pending_count: 10 });
    });
    it('SP2: are looked after when the interval is over', () => {
      expect(first).toMatchObject({ timers: 1, nextMs: first.atMs + 15_000 });
    });
    it('SP3: and again after the next', () => {
      expect(second).toBe(first.atMs + 30_000);
    });
    it('SP4: end in success', () => {
      expect({ verdict, counters: family.counters }).toMatchObject({ verdict: 'stopped/success', counters: { success_count: 10 } });
    });
  });

  describe('more than a batch', () => {
    let family: Family;
    const seen: { made: number; timers: number; nowMs: number }[] = [];
    let last: { batches: number; nextMs: number | null; nowMs: number };
    beforeAll(async () => {
      family = new Family({ batchSize: 10 });
      const { store, clock } = family.world;
      store.onCommit = () => void seen.push({ made: family.batches.length, timers: clock.pending, nowMs: clock.now() });
      await family.begin(20);
      store.onCommit = undefined;
      last = { batches: family.batches.length, nextMs: clock.nextAtMs, nowMs: clock.now() };
    });

    it('SP5: are made a batch at a time', () => {
      expect(seen.map(({ made }) => made)).toEqual([1, 2, 2]);
    });
    it('SP6: the next one at once, without a timer', () => {
      expect(seen.slice(0, 2)).toEqual([
        { made: 1, timers: 0, nowMs: last.nowMs },
        { made: 2, timers: 1, nowMs: last.nowMs },
      ]);
    });
    it('SP7: whether those before have ended or not', async () => {
      const quick = new Family({ batchSize: 10 });
      await quick.begin(20);
      expect(quick.counters).toMatchObject({ success_count: 0, planned_count: 20 });
      await quick.finish(5);
      expect(quick.counters).toMatchObject({ success_count: 5, planned_count: 20 });
    });
    it('SP8: after the last it waits for the interval', () => {
      expect(last).toEqual({ batches: 2, nextMs: last.nowMs + 15_000, nowMs: last.nowMs });
    });
    it('SP9: all have ended: success', async () => {
      await family.finish();
      expect(family.parent.verdict).toBe('stopped/success');
    });
  });

  it('SP10: without a limit there is none to tell', async () => {
    const family = await new Family().begin(5);
    expect(family.counters).not.toHaveProperty('concurrency_limit');
    expect(family.children.map(({ row }) => row.concurrencyLimit)).toEqual([null, null, null, null, null]);
  });

  describe('under a limit', () => {
    let family: Family;
    let first: { made: number; limit: unknown; timerMs: number; children: number };
    const made: number[] = [];
    let asked: unknown[];
    beforeAll(async () => {
      family = await new Family({ concurrencyLimit: 2 }).begin(5);
      const { clock } = family.world;
      first = {
        made: Number(family.counters['planned_count']),
        limit: family.counters['concurrency_limit'],
        timerMs: (clock.nextAtMs ?? 0) - clock.now(),
        children: family.children.length,
      };
      for (let end = 0; end < 3; end += 1) {
        await family.finish(1);
        made.push(family.children.length);
      }
      await family.world.advance(15_000);
      asked = [...family.batches];
      await family.finish();
    });

    it('SP11: it is stored', () => {
      expect(first.limit).toBe(2);
      expect(family.children[0]?.row.concurrencyLimit).toBe(2);
    });
    it('SP12: at first all of it is free', () => {
      expect(family.batches[0]).toEqual([0, 2]);
    });
    it('SP13: that many are made', () => {
      expect(first).toMatchObject({ made: 2, children: 2 });
    });
    it('SP14: then it looks again after the interval', () => {
      expect(first.timerMs).toBe(15_000);
    });
    it('SP15: one that ended makes room for one', () => {
      expect(made[0]).toBe(3);
    });
    it('SP16: and so on until all are made', () => {
      expect(made).toEqual([3, 4, 5]);
    });
    it('SP17: then no more are asked for', () => {
      const all = [
        [0, 2],
        [2, 1],
        [3, 1],
        [4, 1],
      ];
      expect({ asked, batches: family.batches }).toEqual({ asked: all, batches: all });
    });
    it('SP18: in the end it succeeds, and nobody holds a place', () => {
      expect(family.parent.verdict).toBe('stopped/success');
      expect({ running: running(family), waiting: waiting(family) }).toEqual({ running: 0, waiting: 0 });
    });
  });
});
