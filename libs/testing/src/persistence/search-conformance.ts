import { InvalidInputError } from '@dynflow/kernel';
import type { OneOrMany, PlanFilter, PlanOrder, PlanQuery } from '@dynflow/contracts';
import type { PlanRow } from '@dynflow/engine';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { MOMENT, changes, planRow } from './rows.js';
import type { StoreWorld } from './store-world.js';

const STATES = ['scheduled', 'planning', 'running', 'paused', 'stopped', 'stopped', 'stopped'] as const;
const RESULTS = ['pending', 'success', 'success', 'error', 'warning'] as const;
const LABELS = ['example.Job', 'example.Other', "it's odd", 'Läufe'] as const;
const HOSTS = ['a.example.com', 'b.example.com', 'c.example.com'] as const;
const ORDERS: readonly PlanOrder[] = ['number', 'createdAt', 'startedAt', 'endedAt', 'label', 'state', 'result', 'executionTime'];

/** Eighty plans in which many values come up many times. */
function manyPlans(): PlanRow[] {
  const plans: PlanRow[] = [];
  for (let index = 0; index < 80; index += 1) {
    const state = STATES[(index * 5) % STATES.length] ?? 'stopped';
    const begun = state !== 'scheduled' && state !== 'planning';
    const host = HOSTS[(index * 7) % 4];
    plans.push(
      planRow({
        state,
        result: RESULTS[(index * 3) % RESULTS.length] ?? 'pending',
        label: LABELS[index % LABELS.length] ?? '',
        createdAtMs: MOMENT + index,
        startedAtMs: begun ? MOMENT + ((index * 13) % 20) * 10 : null,
        endedAtMs: state === 'stopped' ? MOMENT + ((index * 11) % 15) * 100 : null,
        executionTimeMs: (index * 17) % 9,
        callerPlan: index % 6 === 0 ? (plans[index - 1]?.id ?? null) : index % 6 === 1 ? (plans[0]?.id ?? null) : null,
        callerAction: index % 6 <= 1 ? index % 3 : null,
        schedule: index % 4 === 0 ? { startAtMs: MOMENT, startBeforeMs: null, isFrozen: false, after: [] } : null,
        attributes: { ...(host === undefined ? {} : { host }), ...(index % 2 === 0 ? { external_id: String(index % 10) } : {}) },
      }),
    );
  }
  return plans;
}

const isOneOf = (value: string | null | undefined, words: OneOrMany | undefined): boolean =>
  words === undefined || (value !== null && value !== undefined && (typeof words === 'string' ? [words] : words).includes(value));

const isWithin = (value: number | null, fromMs = -Infinity, toMs = Infinity): boolean =>
  (fromMs === -Infinity && toMs === Infinity) || (value !== null && value >= fromMs && value < toMs);

/** What a filter means, said once more, in memory. */
function fits(plan: PlanRow, filter: PlanFilter): boolean {
  return (
    isOneOf(plan.id, filter.id) &&
    isOneOf(plan.state, filter.state) &&
    isOneOf(plan.result, filter.result) &&
    isOneOf(plan.label, filter.label) &&
    isOneOf(plan.callerPlan, filter.callerPlan) &&
    (filter.callerAction === undefined || plan.callerAction === filter.callerAction) &&
    (filter.labelContains === undefined || plan.label.toLowerCase().includes(filter.labelContains.toLowerCase())) &&
    (filter.isDelayed === undefined || filter.isDelayed === (plan.state === 'scheduled' && plan.schedule !== null)) &&
    isWithin(plan.createdAtMs, filter.createdFromMs, filter.createdToMs) &&
    isWithin(plan.startedAtMs, filter.startedFromMs, filter.startedToMs) &&
    isWithin(plan.endedAtMs, filter.endedFromMs, filter.endedToMs) &&
    Object.entries(filter.attributes ?? {}).every(([name, words]) => isOneOf(plan.attributes[name], words))
  );
}

const PLACES: Readonly<Record<PlanOrder, (plan: PlanRow) => string | number | null>> = {
  number: () => 0,
  createdAt: (plan) => plan.createdAtMs,
  startedAt: (plan) => plan.startedAtMs,
  endedAt: (plan) => plan.endedAtMs,
  label: (plan) => plan.label,
  state: (plan) => plan.state,
  result: (plan) => plan.result,
  executionTime: (plan) => plan.executionTimeMs,
};

function wordsOf(words: readonly string[]): fc.Arbitrary<OneOrMany> {
  const unique = [...new Set([...words, 'none such'])];
  return fc.oneof(fc.constantFrom(...unique), fc.subarray(unique), fc.constant(Array.from({ length: 30 }, (_, i) => unique[i] ?? `x${i}`)));
}

function filters(plans: readonly PlanRow[]): fc.Arbitrary<PlanFilter> {
  const ids = plans.map(({ id }) => id);
  const time = (stepMs: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 20 }).map((steps) => MOMENT + steps * stepMs);
  const some = { requiredKeys: [] };
  const plain = fc.record(
    {
      state: wordsOf(STATES),
      result: wordsOf(RESULTS),
      label: wordsOf(LABELS),
      labelContains: fc.constantFrom('JOB', 'ex', 'none such'),
      isDelayed: fc.boolean(),
      createdFromMs: time(4),
      createdToMs: time(4),
      startedFromMs: time(10),
      startedToMs: time(10),
      endedFromMs: time(80),
      endedToMs: time(80),
      attributes: fc.record({ host: wordsOf(HOSTS), external_id: wordsOf(['0', '2', '4']) }, some),
    },
    some,
  );
  const family = fc.record({ callerPlan: wordsOf([ids[0] ?? '', ids[5] ?? '']), callerAction: fc.integer({ min: 0, max: 2 }) }, some);
  return fc
    .tuple(fc.oneof({ arbitrary: plain, weight: 4 }, fc.record({ id: wordsOf(ids.slice(0, 9)) })), fc.option(family, { freq: 6 }))
    .map(([one, other]) => ({ ...one, ...(other?.callerPlan === undefined ? {} : other) }));
}

/** Searching, compared with the same in memory. */
export function describeSearch(world: () => StoreWorld): void {
  describe('search', () => {
    let plans: PlanRow[];
    let numbers: Map<string, number>;

    beforeEach(async () => {
      plans = manyPlans();
      const { database } = world();
      await database.plans.commit(changes({ newPlans: plans }));
      numbers = new Map((await database.reader.list({ limit: 1_000 })).map(({ id, number }) => [id, number]));
    });

    const sorted = (filter: PlanFilter, orderBy: PlanOrder, isAscending: boolean): string[] => {
      const place = PLACES[orderBy];
      const compare = (a: PlanRow, b: PlanRow): number => {
        const [x, y] = [place(a), place(b)];
        const byPlace = x === y ? 0 : x === null ? -1 : y === null ? 1 : x < y ? -1 : 1;
        return byPlace === 0 ? (numbers.get(a.id) ?? 0) - (numbers.get(b.id) ?? 0) : byPlace;
      };
      const found = plans.filter((plan) => fits(plan, filter)).toSorted(compare);
      return (isAscending ? found : found.reverse()).map(({ id }) => id);
    };

    it('finds, counts and orders as the filters say, whatever they are, and page after page without loss or repetition', async () => {
      const { reader } = world().database;
      const query = fc.record({
        filter: filters(plans),
        orderBy: fc.constantFrom(...ORDERS),
        isAscending: fc.boolean(),
        limit: fc.integer({ min: 1, max: 30 }),
        offset: fc.integer({ min: 0, max: 60 }),
      });

      await fc.assert(
        fc.asyncProperty(query, async ({ filter, orderBy, isAscending, limit, offset }) => {
          const page: PlanQuery = { ...filter, orderBy, direction: isAscending ? 'ascending' : 'descending', limit };
          const found = sorted(filter, orderBy, isAscending);
          // The order of words is the database's own.
          const isWord = ['label', 'state', 'result'].includes(orderBy);
          const ids = async (one: PlanQuery): Promise<string[]> => (await reader.list(one)).map(({ id }) => id);

          const all: string[] = [];
          for (let after: number | undefined, next = page; ; next = { ...page, ...(after === undefined ? {} : { after }) }) {
            const rows = await reader.list(next);
            all.push(...rows.map(({ id }) => id));
            after = rows.at(-1)?.number;
            if (rows.length < limit) {
              break;
            }
          }
          expect(isWord ? all.toSorted() : all).toEqual(isWord ? found.toSorted() : found);
          expect(await ids({ ...page, offset })).toEqual(all.slice(offset, offset + limit));

          const matching = plans.filter((plan) => fits(plan, filter));
          expect(await reader.count(filter)).toBe(matching.length);
          const counted = new Map((await reader.counts(filter)).map(({ state, result, count }) => [`${state} ${result}`, count]));
          const keys = matching.map(({ state, result }) => `${state} ${result}`);
          expect(counted).toEqual(new Map(keys.map((key) => [key, keys.filter((one) => one === key).length])));
          expect(await reader.states(filter)).toEqual(new Map(matching.map(({ id, state, result }) => [id, { state, result }])));
        }),
        { numRuns: 150, seed: 20_261_122 },
      );
    }, 60_000);

    it('refuses a filter or an order that there is not, and what does not fit, by its name', async () => {
      const { reader } = world().database;
      const refused = async (query: object): Promise<unknown> =>
        reader.list({ limit: 1, ...query }).then(
          () => 'accepted',
          (error: unknown) => (error instanceof InvalidInputError ? error.field : error),
        );

      expect(await refused({ colour: 'red' })).toBe('colour');
      expect(await refused({ constructor: 'x' })).toBe('constructor');
      expect(await refused({ orderBy: 'id; DROP TABLE x' })).toBe('orderBy');
      expect(await refused({ direction: 'up' })).toBe('direction');
      expect(await refused({ limit: 0 })).toBe('limit');
      expect(await refused({ limit: undefined })).toBe('limit');
      expect(await refused({ offset: -1 })).toBe('offset');
      expect(await refused({ state: [1] })).toBe('state');
      expect(await refused({ startedFromMs: Number.NaN })).toBe('startedFromMs');
      expect(await refused({ attributes: { host: 1 } })).toBe('attributes.host');
      expect(await refused({ attributes: ['a'] })).toBe('attributes');
      expect(await refused({ isDelayed: 'yes' })).toBe('isDelayed');
      expect(await refused({ labelContains: 3 })).toBe('labelContains');
      expect(await refused({ callerAction: 1 })).toBe('callerAction');
      expect(await refused({ orderBy: 'startedAt', after: 999_999 })).toBe('after');
      await expect(reader.counts({ colour: 'red' } as object)).rejects.toThrow('there is no such filter');
      await expect(reader.count({ limit: 3 } as object)).rejects.toThrow(InvalidInputError);
      await expect(reader.states({ colour: 'red' } as object)).rejects.toThrow(InvalidInputError);
      expect(await refused({ state: undefined })).toBe('accepted');
    });

    it('finds a plan by words longer than an index holds, and by odd ones', async () => {
      const { plans: store, reader } = world().database;
      const long = 'x'.repeat(5_000);
      const odd = `'; DROP TABLE "x" -- ? $1 漢\u0000`;
      const plan = planRow({ attributes: { long, [odd]: odd } });
      await store.commit(changes({ newPlans: [plan] }));

      expect((await reader.list({ limit: 5, attributes: { long } })).map(({ id }) => id)).toEqual([plan.id]);
      expect((await reader.list({ limit: 5, attributes: { [odd]: [odd, 'other'] } })).map(({ id }) => id)).toEqual([plan.id]);
      expect(await reader.count({ attributes: { [odd]: odd }, label: odd })).toBe(0);
      expect((await reader.list({ limit: 1, attributes: { long } }))[0]?.attributes).toEqual({ long, [odd]: odd });
    });

    it('tells what a plan waits for', async () => {
      const { plans: store, reader } = world().database;
      const after = [plans[3]?.id ?? '', 'not there', plans[1]?.id ?? '', 'not there'];
      const plan = planRow({ state: 'scheduled', schedule: { startAtMs: null, startBeforeMs: null, isFrozen: false, after } });
      await store.commit(changes({ newPlans: [plan] }));

      expect((await reader.prerequisites(plan.id)).toSorted()).toEqual([...new Set(after)].toSorted());
      expect(await reader.prerequisites('nobody')).toEqual([]);
    });
  });
}
