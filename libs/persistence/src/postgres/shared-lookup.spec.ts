import { describe, expect, it } from 'vitest';
import { SharedLookup } from './shared-lookup.js';

describe('SharedLookup', () => {
  it('looks up together what is asked in one turn, and tells each asker of its own words', async () => {
    const asked: (readonly string[])[] = [];
    const lookup = new SharedLookup(async (words) => {
      asked.push(words);
      return Promise.resolve(new Set(['a', 'c']));
    });

    const answers = await Promise.all([lookup.ask(['a', 'b']), lookup.ask(['c']), lookup.ask(['a'])]);

    expect(answers).toEqual([new Set(['a']), new Set(['c']), new Set(['a'])]);
    expect(asked).toEqual([['a', 'b', 'c']]);
  });

  it('begins another lookup for what is asked while one is under way', async () => {
    const underWay: { words: readonly string[]; answer: (found: Set<string>) => void }[] = [];
    let begun = (): void => undefined;
    const lookup = new SharedLookup(
      async (words) =>
        new Promise((answer) => {
          underWay.push({ words, answer });
          begun();
        }),
    );
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const first = lookup.ask(['a']);
    await hasBegun;

    const second = lookup.ask(['a']);
    const hasBegunAgain = new Promise<void>((resolve) => (begun = resolve));
    underWay[0]?.answer(new Set());
    await hasBegunAgain;
    underWay[1]?.answer(new Set(['a']));

    // It was written in between: who asked later must be told so.
    expect([await first, await second]).toEqual([new Set(), new Set(['a'])]);
  });

  it('fails all who asked, and works again', async () => {
    let isAway = true;
    const lookup = new SharedLookup(async (words) => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(new Set(words))));

    const answers = await Promise.allSettled([lookup.ask(['a']), lookup.ask(['b'])]);
    isAway = false;

    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await lookup.ask(['b'])).toEqual(new Set(['b']));
  });
});
