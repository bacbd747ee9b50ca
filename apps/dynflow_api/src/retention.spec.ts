import { openDatabase, type Database } from '@dynflow/persistence';
import { changes, planRow } from '@dynflow/testing/conformance';
import { ManualClock } from '@dynflow/testing/engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Retention, type RetentionOptions, type Surplus } from './retention.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let clock: ManualClock;
let database: Database;
let asked: (Surplus & { limit: number })[];
let retention: Retention;
let warnings: string[];

const ignore = (): void => undefined;

function started(options: Partial<RetentionOptions> = {}): Retention {
  retention = new Retention({
    purge: async (surplus) => {
      asked.push(surplus);
      return database.purgeFinished(surplus);
    },
    clock,
    retentionMs: HOUR_MS,
    retentionPlans: null,
    log: { debug: ignore, info: ignore, warn: (message) => warnings.push(message), error: ignore },
    ...options,
  });
  retention.start();
  return retention;
}

/** Lets a minute pass, and the round that comes with it end. */
async function tick(): Promise<void> {
  const pending = clock.pending;
  clock.advance(MINUTE_MS);
  while (clock.pending < pending) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A plan that ended so long ago. */
async function ended(agoMs: number): Promise<string> {
  const plan = planRow({ state: 'stopped', result: 'success', endedAtMs: clock.now() - agoMs });
  await database.plans.commit(changes({ newPlans: [plan] }));
  return plan.id;
}

const left = async (): Promise<string[]> => (await database.reader.list({ limit: 2_000, direction: 'ascending' })).map(({ id }) => id);

beforeEach(async () => {
  clock = new ManualClock();
  asked = [];
  warnings = [];
  database = await openDatabase({ url: 'sqlite::memory:' });
});
afterEach(async () => {
  await retention.stop();
  await database.close();
});

describe('retention', () => {
  it('CN1: does nothing where nothing is to be deleted ever', async () => {
    started({ retentionMs: null });
    expect(clock.pending).toBe(0);
    clock.advance(24 * HOUR_MS);
    expect(asked).toEqual([]);
  });

  it('CN2: is at work where it is configured', async () => {
    started();
    await tick();
    expect(asked).toHaveLength(1);
  });

  it('CN3: sets one timer when it starts', () => {
    started();
    expect(clock.pending).toBe(1);
  });

  it('CN4: looks for old plans at each tick, also when there are none', async () => {
    started();
    await tick();
    await tick();
    expect(asked).toEqual([clock.now() - MINUTE_MS, clock.now()].map((now) => ({ olderThanMs: now - HOUR_MS, limit: 500 })));
  });

  it('CN5: sets its next timer after each tick', async () => {
    started();
    await tick();
    expect(clock.pending).toBe(1);
    expect(clock.nextAtMs).toBe(clock.now() + MINUTE_MS);
  });

  it('CN6: deletes plans that ended longer ago than that', async () => {
    started();
    await ended(HOUR_MS);
    await ended(3 * HOUR_MS);
    await tick();
    expect(await left()).toEqual([]);
  });

  it('CN7: keeps the younger ones', async () => {
    started();
    const young = [await ended(HOUR_MS - 2 * MINUTE_MS), await ended(0)];
    await tick();
    expect(await left()).toEqual(young);
  });

  it('keeps so many of the last that ended, however young they are', async () => {
    started({ retentionMs: null, retentionPlans: 3 });
    const plans: string[] = [];
    for (let count = 10; count > 0; count -= 1) {
      plans.push(await ended(count));
    }
    const paused = planRow({ state: 'paused' });
    await database.plans.commit(changes({ newPlans: [paused] }));
    await tick();
    expect(await left()).toEqual([...plans.slice(-3), paused.id]);
    await tick();
    expect(await left()).toHaveLength(4);
  });

  it('deletes what is too old or too many, in slices', async () => {
    started({ retentionPlans: 20 });
    const plans = Array.from({ length: 1_200 }, (_, index) => planRow({ state: 'stopped', endedAtMs: clock.now() - index }));
    await database.plans.commit(changes({ newPlans: plans }));
    await tick();
    expect(asked).toHaveLength(3);
    expect(await left()).toHaveLength(20);
  });

  it('goes on after a failure', async () => {
    let isAway = true;
    started({ purge: async (surplus) => (isAway ? Promise.reject(new Error('away')) : database.purgeFinished(surplus)) });
    await ended(2 * HOUR_MS);
    await tick();
    expect(warnings).toEqual(['finished plans could not be deleted; the next round tries again']);
    isAway = false;
    await tick();
    expect(await left()).toEqual([]);
  });

  it('keeps what a plan begins after that has not begun yet', async () => {
    started();
    const [first, other] = [await ended(2 * HOUR_MS), await ended(2 * HOUR_MS)];
    const schedule = { startAtMs: null, startBeforeMs: null, isFrozen: true, after: [first] };
    const waiting = planRow({ state: 'scheduled', schedule });
    await database.plans.commit(changes({ newPlans: [waiting] }));
    await tick();
    expect(await left()).toEqual([first, waiting.id]);
    expect(await database.deletePlans({ id: [first, other] })).toBe(0);

    await database.plans.commit(changes({ plans: [{ ...waiting, state: 'stopped', endedAtMs: clock.now() }] }));
    await tick();
    expect(await left()).toEqual([waiting.id]);
  });
});
