import { describe, expect, it } from 'vitest';
import { derivedUuid } from './derived-uuid.js';

describe('derivedUuid', () => {
  it('is the same for the same words, for ever', () => {
    expect(derivedUuid('plan', 2, 0, 17)).toBe(derivedUuid('plan', 2, 0, 17));
    expect(derivedUuid('plan', 2, 0, 17)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is another for other words, however they are put together', () => {
    const ids = [derivedUuid('a', 'b'), derivedUuid('ab'), derivedUuid('a,b'), derivedUuid('1'), derivedUuid(1), derivedUuid('1', '')];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
