import { describe, expect, it } from 'vitest';
import { differencesFrom, expectShape } from './match-shape.js';
import type { Shape } from './match-shape.js';

const id = '0b0f4f0e-6b0c-4b59-9a0a-7f6f1f5f0a01';

/** Each row: what it shows, a value, a shape, and the differences that must be found, none where it fits. */
const table: readonly [what: string, actual: unknown, shape: Shape, differences: readonly string[]][] = [
  ['equal values fit', { a: [1, 'x', null, true] }, { a: [1, 'x', null, true] }, []],
  ['the order of keys does not matter', { a: 1, b: 2 }, { b: 2, a: 1 }, []],
  ['a missing key', { a: 1 }, { a: 1, b: '<int>' }, ['$.b: missing, expected "<int>"']],
  ['a key that is there but undefined is missing', { a: undefined }, { a: '<any>' }, ['$.a: missing, expected "<any>"']],
  ['an extra key', { a: 1, 'b-c': 2 }, { a: 1 }, ['$["b-c"]: unexpected key with 2']],
  ['a wrong value deep inside', { a: [{ b: 'x' }] }, { a: [{ b: 'y' }] }, ['$.a[0].b: expected "y", got "x"']],
  ['a number where a string of the same digits is', { a: '3' }, { a: 3 }, ['$.a: expected 3, got "3"']],
  ['null where there is a value', { a: 0 }, { a: null }, ['$.a: expected null, got 0']],
  ['an array where an object should be', { a: [] }, { a: {} }, ['$.a: expected an object, got []']],
  ['an object where an array should be', { a: {} }, { a: [] }, ['$.a: expected an array, got {}']],
  ['an array that is too long', [1, 2], [1], ['$[1]: unexpected element 2']],
  ['an array that is too short', [1], [1, 2], ['$[1]: missing, expected 2']],
  ['a uuid', id, '<uuid>', []],
  ['no uuid', 'x', '<uuid>', ['$: expected <uuid>, got "x"']],
  ['a time', '2026-11-22 12:32:35.776', '<time>', []],
  ['a time in another form', '2026-11-22T12:32:35.776Z', '<time>', ['$: expected <time>, got "2026-11-22T12:32:35.776Z"']],
  ['seconds', 1795350755.25, '<unix time>', []],
  ['milliseconds', 1795350755250, '<unix time>', ['$: expected <unix time>, got 1795350755250']],
  ['a number', 0.5, '<float>', []],
  ['a number as text', '0.5', '<float>', ['$: expected <float>, got "0.5"']],
  ['a negative number', -1, '<float>', ['$: expected <float>, got -1']],
  ['a whole number', 3, '<int>', []],
  ['a fraction', 0.5, '<int>', ['$: expected <int>, got 0.5']],
  ['an empty class name', '', '<class>', ['$: expected <class>, got ""']],
  ['an empty text', '', '<text>', ['$: expected <text>, got ""']],
  ['an empty string', '', '<string>', []],
  ['no string', null, '<string>', ['$: expected <string>, got null']],
  ['no secret', null, '<secret>', []],
  ['a hidden secret', '[hidden]', '<secret>', []],
  ['several hidden secrets', { a: null, b: { c: '[hidden]' } }, '<secret>', []],
  ['a shown secret among hidden ones', { a: null, b: 'hunter2' }, '<secret>', ['$: expected <secret>, got {"a":null,"b":"hunter2"}']],
  ['a truth value', false, '<bool>', []],
  ['no truth value', 0, '<bool>', ['$: expected <bool>, got 0']],
  ['a shown secret', 'hunter2', '<secret>', ['$: expected <secret>, got "hunter2"']],
  ['one of two', 'b', '<one of: a, b>', []],
  ['none of two', 'c', '<one of: a, b>', ['$: expected <one of: a, b>, got "c"']],
  ['each element', [1, 2], ['<each>', '<int>'], []],
  ['no element', [], ['<each>', '<int>'], []],
  ['one bad element', [1, 'x'], ['<each>', '<int>'], ['$[1]: expected <int>, got "x"']],
  ['contained', ['a', 'b'], ['<contains>', 'b'], []],
  ['not contained', ['a'], ['<contains>', 'b'], ['$: expected an element that fits "b", got ["a"]']],
  ['an optional key that is missing', {}, { 'a?': 1 }, []],
  ['an optional key that is wrong', { a: 2 }, { 'a?': 1 }, ['$.a: expected 1, got 2']],
  ['further keys', { a: 1, b: 'x' }, { a: 1, '<others>': '<string>' }, []],
  ['further keys that are wrong', { b: 1 }, { '<others>': '<string>' }, ['$.b: expected <string>, got 1']],
];

const chunk = (output: string, type = 'stdout'): object => ({ output_type: type, output, timestamp: 1795350755.25 });
const chunks = (shape: Shape): Shape => ({ '<chunks>': shape });

const chunkTable: typeof table = [
  ['chunks cut anywhere', [chunk('a\nb'), chunk('c\n')], chunks({ types: ['stdout'], lines: ['a', 'bc'] }), []],
  ['streams in any order', [chunk('o\n'), chunk('e\n', 'stderr')], chunks({ types: ['stdout', 'stderr'], lines: ['e', 'o'] }), []],
  ['lines ended by a terminal', [chunk('a\r\nb\r\n')], chunks({ types: ['stdout'], lines: ['a', 'b'] }), []],
  ['a missing line', [chunk('a\n')], chunks({ types: ['stdout'], lines: ['a', 'b'] }), ['$: expected the lines ["a","b"], got ["a"]']],
  [
    'a doubled line',
    [chunk('a\n'), chunk('a\n')],
    chunks({ types: ['stdout'], lines: ['a'] }),
    ['$: expected the lines ["a"], got ["a","a"]'],
  ],
  ['another stream', [chunk('a\n', 'debug')], chunks({ types: ['stdout'] }), ['$[0].output_type: expected <one of: stdout>, got "debug"']],
  ['too few', [], chunks({ types: ['stdout'], min: 1 }), ['$: expected at least 1 chunks, got []']],
  ['a chunk that says nothing', [chunk('')], chunks({ types: ['stdout'] }), ['$[0].output: expected <text>, got ""']],
  ['no chunks at all', null, chunks({ types: ['stdout'] }), ['$: expected an array, got null']],
];

describe('differencesFrom', () => {
  it.each([...table, ...chunkTable])('%s', (_, actual, shape, differences) => {
    expect(differencesFrom(actual, shape)).toEqual(differences);
  });

  it('reports every difference, not only the first', () => {
    expect(differencesFrom({ a: 1, c: 1 }, { a: 2, b: 1 })).toEqual([
      '$.a: expected 2, got 1',
      '$.b: missing, expected 1',
      '$.c: unexpected key with 1',
    ]);
  });

  it('refuses a shape with a kind that does not exist', () => {
    expect(() => differencesFrom('x', '<uid>')).toThrow('unknown kind of value in a shape: <uid>');
  });
});

describe('expectShape', () => {
  it('returns when the value fits', () => {
    expect(() => expectShape({ id }, { id: '<uuid>' })).not.toThrow();
  });

  it('throws with all differences and the value', () => {
    expect(() => expectShape({ id: 1, x: 2 }, { id: '<uuid>' })).toThrow(
      /\$\.id: expected <uuid>, got 1\n {2}\$\.x: unexpected key with 2\nvalue: \{/,
    );
  });
});
