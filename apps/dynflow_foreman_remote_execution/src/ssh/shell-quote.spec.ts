import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellQuote } from './shell-quote.js';

describe('shellQuote', () => {
  it('gives a shell the text as one word, whatever is in it', () => {
    const texts = fc.sample(fc.string({ unit: fc.constantFrom(...Array.from('ab \'"\\$`!*?;&|<>(){}[]#~\n\t=%^ü€-')) }), {
      numRuns: 400,
      seed: 1,
    });
    // One shell for all: each word comes back with an end mark of its own.
    const program = `printf '%s\\001' ${texts.map(shellQuote).join(' ')}`;
    const words = execFileSync('/bin/sh', ['-c', program], { encoding: 'utf8' }).split('\u0001');
    expect(words).toEqual([...texts, '']);
  });

  it('refuses what no argument can hold', () => {
    expect(() => shellQuote('a\0b')).toThrow(RangeError);
  });
});
