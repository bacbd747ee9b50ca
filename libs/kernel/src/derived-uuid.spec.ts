import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { derivedUuid } from './derived-uuid.js';

/** The same by the platform's SHA-1. */
function expected(words: (string | number)[]): string {
  const hex = createHash('sha1')
    .update(JSON.stringify(['dynflow_api sub-plans', ...words]))
    .digest('hex');
  const variant = ((parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

describe('derivedUuid', () => {
  it('is the same for the same words, for ever', () => {
    expect(derivedUuid('plan', 2, 0, 17)).toBe(derivedUuid('plan', 2, 0, 17));
    expect(derivedUuid('plan', 2, 0, 17)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is the SHA-1 of the words, whatever their length', () => {
    for (let length = 0; length < 150; length += 1) {
      const words = ['ä'.repeat(length), length];
      expect(derivedUuid(...words)).toBe(expected(words));
    }
  });

  it('is another for other words, however they are put together', () => {
    const ids = [derivedUuid('a', 'b'), derivedUuid('ab'), derivedUuid('a,b'), derivedUuid('1'), derivedUuid(1), derivedUuid('1', '')];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
