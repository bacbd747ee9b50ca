import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Utf8Stream } from './utf8-stream.js';

describe('Utf8Stream', () => {
  it('gives the same text however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.nat(40), { maxLength: 12 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        const stream = new Utf8Stream();
        let at = 0;
        let result = '';
        for (const length of cuts) {
          result += stream.write(bytes.subarray(at, at + length));
          at += length;
        }
        result += stream.write(bytes.subarray(at)) + stream.end();
        expect(result).toBe(text);
      }),
    );
  });

  it('replaces what is no UTF-8, keeps a byte order mark, and marks a character that was cut off', () => {
    const stream = new Utf8Stream();
    expect(stream.write(Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0xff, 0x62]))).toBe('\uFEFFa\uFFFDb');
    expect(stream.write(Buffer.from([0xe2, 0x82]))).toBe('');
    expect(stream.end()).toBe('\uFFFD');
  });
});
