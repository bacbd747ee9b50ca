import { expect, it } from 'vitest';
import { tableLines } from './table.js';

it('lays out columns as wide as their widest cell, paint not counted', () => {
  expect(
    tableLines([
      ['a', 'long title', 'c'],
      ['\u{1b}[31mred\u{1b}[39m', 'x', ''],
    ]),
  ).toEqual(['a    long title  c', '\u{1b}[31mred\u{1b}[39m  x']);
});
