import { describe, expect, it } from 'vitest';
import { MiddlewareCycleError, doNotUse, orderMiddleware, use, type MiddlewareList, type NamedMiddleware } from './middleware-rules.js';

const [A, B, C, W] = ['A', 'B', 'C', 'W'].map((name) => ({ name })) as [NamedMiddleware, NamedMiddleware, NamedMiddleware, NamedMiddleware];

const order = (...lists: MiddlewareList<NamedMiddleware>[]): string =>
  orderMiddleware(lists, 'demo.Action')
    .map(({ name }) => name)
    .join('');

describe('the order of middleware', () => {
  it.each<[string, MiddlewareList<NamedMiddleware>[], string]>([
    ['is as it is written, list after list', [[W], [A, B], [C]], 'WABC'],
    ['has each one once', [[A], [B, A]], 'AB'],
    ['before: outside of another', [[A, B, use(C, { before: 'A' })]], 'CAB'],
    ['before: of an inherited one', [[W], [A], [use(B, { before: 'W' })]], 'BWA'],
    ['after: inside of another, whoever wrote it first', [[use(W, { after: 'A' })], [A, B]], 'AWB'],
    ['after: what comes later anyway', [[A, B, use(C, { after: 'A' })]], 'ABC'],
    ['replace: in its place', [[A, B, C], [use(W, { replace: 'B' })]], 'AWC'],
    ['replace: with what was said of the old one', [[A, use(B, { before: 'A' })], [use(C, { replace: 'B' })]], 'CA'],
    ['replace: with what others said of the old one', [[A, B, use(W, { before: 'B' })], [use(C, { replace: 'B' })]], 'AWC'],
    ['replace: one that is not there', [[A], [use(C, { replace: 'B' })]], 'AC'],
    ['replace: by one that is there already', [[A, B, C], [use(C, { replace: 'A' })]], 'CB'],
    ['replaced and brought back', [[A, B], [use(C, { replace: 'A' }), A], [use(W, { before: 'A' })]], 'CBWA'],
    [
      'doNotUse: without it',
      [
        [W, A],
        [B, doNotUse('W'), doNotUse('B')],
      ],
      'A',
    ],
    ['doNotUse: until it is used again', [[A, B], [doNotUse('A')], [A]], 'BA'],
    ['before and after what is not in use: no constraint', [[use(A, { before: 'X' }), use(B, { after: 'Y' })]], 'AB'],
    ['said twice: both hold', [[A, B, C], [use(W, { after: 'A' })], [use(W, { before: 'B' })]], 'AWBC'],
  ])('%s', (_what, lists, expected) => {
    expect(order(...lists)).toBe(expected);
  });

  it('cannot be a circle, and says whose it is', () => {
    const rules = [A, use(B, { before: 'A' }), use(C, { before: 'B', after: 'A' })];
    expect(() => order(rules)).toThrow(MiddlewareCycleError);
    expect(() => order(rules)).toThrow('demo.Action cannot be ordered: each of A, B, C');
  });
});
