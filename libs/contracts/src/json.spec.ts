import { describe, expect, it } from 'vitest';
import { Json, JsonRecord } from './json.js';

const nested = { text: 'ü\u0000', list: [1, -0.5, true, null, [{}]], empty: {}, ['__proto__x']: 1 };

describe('Json', () => {
  it.each([null, true, 'text', 0, 1e300, [], {}, nested, [nested]])('takes %j', (value) => {
    expect(Json.parse(value)).toEqual(value);
  });

  it.each([
    ['nothing', undefined],
    ['a number that has no JSON', { at: [Number.NaN] }],
    ['endlessly much', Number.POSITIVE_INFINITY],
    ['a date, which would become text', { at: new Date(0) }],
    ['a map, which would become empty', [new Map([[1, 2]])]],
    ['a function', { run: () => 1 }],
    ['a large number', 10n],
    ['a key without a value', { key: undefined }],
  ])('refuses %s', (_, value) => {
    expect(Json.safeParse(value).success).toBe(false);
    expect(JsonRecord.safeParse({ value }).success).toBe(false);
  });

  it('looks into the deepest value without nesting calls', () => {
    let deep: unknown = 'end';
    for (let level = 0; level < 100_000; level += 1) {
      deep = [deep];
    }
    expect(Json.safeParse(deep).success).toBe(true);
    expect(Json.safeParse([deep, undefined]).success).toBe(false);
  });
});

describe('JsonRecord', () => {
  it.each([null, 'text', 1, [], undefined])('refuses %j, which is no object', (value) => {
    expect(JsonRecord.safeParse(value).success).toBe(false);
  });

  it('takes an object with all that is in it', () => {
    expect(JsonRecord.parse(nested)).toEqual(nested);
  });
});
