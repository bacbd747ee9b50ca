import { describe, expect, it } from 'vitest';
import { decodeFlow, encodeFlow, type Flow } from '@dynflow/engine';

const atom = (step: number): Flow => ({ kind: 'atom', step });

describe('the stored form of flows', () => {
  it('FL1: has a letter for each kind of composite', () => {
    expect(decodeFlow(['S', 1, 2])).toEqual({ kind: 'sequence', flows: [atom(1), atom(2)] });
    expect(decodeFlow(['C', 1, 2])).toEqual({ kind: 'concurrence', flows: [atom(1), atom(2)] });
  });

  it('FL2: has no letter for two kinds', () => {
    const letters = (['sequence', 'concurrence'] as const).map((kind) => (encodeFlow({ kind, flows: [] }) as string[])[0]);
    expect(new Set(letters).size).toBe(letters.length);
  });

  it('FL3: writes a kind as its letter, and a step as its number', () => {
    expect(encodeFlow({ kind: 'concurrence', flows: [atom(4), { kind: 'sequence', flows: [atom(1), atom(2)] }] })).toEqual([
      'C',
      4,
      ['S', 1, 2],
    ]);
  });

  it('FL4: refuses an unknown letter, and an unknown kind', () => {
    expect(() => decodeFlow(['X', 1])).toThrow('not an encoded flow');
    expect(() => encodeFlow({ kind: 'circle', flows: [] } as unknown as Flow)).toThrow('circle');
  });
});
