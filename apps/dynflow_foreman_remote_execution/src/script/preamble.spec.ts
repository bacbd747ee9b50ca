import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Preamble } from './preamble.js';

const NONCE = 'rex-0123';
const input = `motd\n${NONCE}:begin\nsudo: a word\n${NONCE}?${NONCE}:switch\n${NONCE}:body\n${NONCE}:run\nout ${NONCE}:run\n`;

function read(pieces: readonly Buffer[]): { marks: string[]; text: string; rest: string } {
  const marks: string[] = [];
  const preamble = new Preamble(NONCE, (mark) => marks.push(mark.kind === 'fail' ? `fail ${mark.reason}` : mark.kind));
  let rest = '';
  for (const piece of pieces) rest += (preamble.isOver ? piece : (preamble.push(piece) ?? Buffer.alloc(0))).toString();
  return { marks, text: preamble.text, rest };
}

describe('Preamble', () => {
  it('finds marks and the beginning of the output however the bytes are cut', () => {
    const bytes = Buffer.from(input);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 }), (cuts) => {
        const pieces: Buffer[] = [];
        let at = 0;
        for (const length of cuts) {
          pieces.push(bytes.subarray(at, at + length));
          at += length;
        }
        pieces.push(bytes.subarray(at));
        expect(read(pieces)).toEqual({
          marks: ['begin', 'switch', 'body', 'run'],
          text: `sudo: a word\n${NONCE}?`,
          rest: `out ${NONCE}:run\n`,
        });
      }),
    );
  });

  it('hands a failure on with its reason, and keeps only the end of a long text', () => {
    const long = 'x'.repeat(20_000);
    const { marks, text } = read([Buffer.from(`${NONCE}:begin\n`), Buffer.from(long), Buffer.from(`end\n${NONCE}:fail noexec\n`)]);
    expect(marks).toEqual(['begin', 'fail noexec']);
    expect(text.length).toBeLessThanOrEqual(8 * 1024);
    expect(text.endsWith('xend\n')).toBe(true);
  });

  it('tells of text at once, so that a prompt without a line end is seen', () => {
    const seen: string[] = [];
    const preamble = new Preamble(
      NONCE,
      () => undefined,
      (text) => seen.push(text),
    );
    preamble.push(Buffer.from(`${NONCE}:begin\n${NONCE}`));
    preamble.push(Buffer.from('?'));
    expect(seen.at(-1)).toBe(`${NONCE}?`);
  });
});
