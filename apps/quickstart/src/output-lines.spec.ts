import { describe, expect, it } from 'vitest';
import { OutputLines } from './output-lines.js';

const out = (text: string): object => ({ type: 'stdout', text });

describe('OutputLines', () => {
  it('puts lines together that were cut anywhere', () => {
    const lines = new OutputLines();

    expect(lines.add('stdout', 'one\ntw')).toEqual([out('one')]);
    expect(lines.add('stdout', 'o')).toEqual([]);
    expect(lines.add('stdout', '\n\nthree\r\n')).toEqual([out('two'), out(''), out('three')]);
    expect(lines.end()).toEqual([]);
  });

  it('keeps streams apart, and gives at the end what has no end of line', () => {
    const lines = new OutputLines();
    lines.add('stdout', 'a');
    lines.add('stderr', 'b');

    expect(lines.add('stdout', 'c\nd')).toEqual([out('ac')]);
    expect(lines.end()).toEqual([out('d'), { type: 'stderr', text: 'b' }]);
    expect(lines.end()).toEqual([]);
  });
});
