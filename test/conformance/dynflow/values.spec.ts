import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import { InProcessBus } from '@dynflow/bus';
import { openDatabase, type Database } from '@dynflow/persistence';
import { actionRow, changes, planRow, stepRow } from '@dynflow/testing/conformance';
import { present } from './stories.js';

/** Times travel as numbers (epoch milliseconds, with their fraction) or as the words of RFC 3339; neither is ever guessed to be a time. */
const TIME_MS = 1_795_351_188_303.2517;
const WITH_ZONE = '2026-11-22T19:59:48.303+05:30';
const DATE_TIME = '2026-11-22T14:29:48Z';
const DATE = '2026-11-22';

describe('values of time', () => {
  let database: Database;
  let input: JsonObject;
  let startedAtMs: number | null;
  let overTheBus: unknown;
  beforeAll(async () => {
    database = await openDatabase({ url: 'sqlite::memory:' });
    const plan = planRow();
    const action = actionRow(plan.id, { input: { time: TIME_MS, withZone: WITH_ZONE, dateTime: DATE_TIME, date: DATE } });
    await database.plans.commit(
      changes({ newPlans: [plan], newActions: [action], newSteps: [stepRow(plan.id, { startedAtMs: TIME_MS })] }),
    );
    const stored = present(await database.plans.load(plan.id));
    input = present(stored.actions[0]).input;
    startedAtMs = present(stored.steps[0]).startedAtMs;
    const bus = new InProcessBus();
    bus.subscribe('echo', (message) => message);
    overTheBus = await bus.request('echo', input, { timeoutMs: 1_000 });
  });
  afterAll(() => database.close());

  it('XT1: a time is stored and sent to the fraction of a millisecond', () => {
    expect(startedAtMs).toBe(TIME_MS);
    expect(input['time']).toBe(TIME_MS);
    expect(overTheBus).toMatchObject({ time: TIME_MS });
  });

  it('XT2: a time with its zone keeps the zone', () => {
    expect(input['withZone']).toBe(WITH_ZONE);
    expect(overTheBus).toMatchObject({ withZone: WITH_ZONE });
  });

  it('XT3: a date with a time stays as it was written', () => {
    expect(input['dateTime']).toBe(DATE_TIME);
    expect(overTheBus).toMatchObject({ dateTime: DATE_TIME });
  });

  it('XT4: a date stays a date', () => {
    expect(input['date']).toBe(DATE);
    expect(overTheBus).toMatchObject({ date: DATE });
  });
});
