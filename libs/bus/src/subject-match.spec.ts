import { describe, expect, it } from 'vitest';
import { subjectMatches } from './subject-match.js';

describe('subjectMatches', () => {
  it.each([
    ['a.b', 'a.b'],
    ['a.*', 'a.b'],
    ['*.b.*', 'a.b.c'],
    ['a.>', 'a.b'],
    ['a.>', 'a.b.c'],
    ['>', 'a'],
  ])('%s takes %s', (pattern, subject) => {
    expect(subjectMatches(pattern, subject)).toBe(true);
  });

  it.each([
    ['a.b', 'a.c'],
    ['a.b', 'a'],
    ['a', 'a.b'],
    ['a.*', 'a'],
    ['a.*', 'a.b.c'],
    ['a.>', 'a'],
    ['a.b*', 'a.bc'],
  ])('%s does not take %s', (pattern, subject) => {
    expect(subjectMatches(pattern, subject)).toBe(false);
  });
});
