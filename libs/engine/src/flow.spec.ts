import { describe, expect, it } from 'vitest';
import type { JsonValue } from '@dynflow/kernel';
import { decodeFlow, encodeFlow, flatten, type Flow } from './flow.js';

const flattened = (encoded: JsonValue): JsonValue => encodeFlow(flatten(decodeFlow(encoded)));

describe("a flow's encoding", () => {
  it.each([
    ['one step', 3],
    ['a sequence', ['S', 3, 6]],
    ['a concurrence of sequences', ['C', ['S', 4, 7, 9], ['S', 13, 16, 18]]],
    ['an empty sequence', ['S']],
    ['deeper nesting', ['S', 1, ['C', 2, ['S', 3, ['C', 4, 5]]], 6]],
  ] as [string, JsonValue][])('is read back as it was written: %s', (_, encoded) => {
    expect(encodeFlow(decodeFlow(encoded))).toEqual(encoded);
  });

  it.each([
    ['an unknown letter', ['X', 1]],
    ['no letter', [1, 2]],
    ['nothing', []],
    ['null', null],
    ['a text', 'S'],
    ['an object', { class: 'Dynflow::Flows::Atom', step_id: 1 }],
    ['an unknown letter within', ['S', 1, ['Y', 2]]],
  ] as [string, JsonValue][])('FL4 refuses %s', (_, encoded) => {
    expect(() => decodeFlow(encoded)).toThrow('not an encoded flow');
  });
});

describe('flattening', () => {
  it.each([
    ['inlines a composite in one of its kind', ['S', ['S', 1, 2], 3], ['S', 1, 2, 3]],
    ['inlines through many levels', ['C', 1, ['C', 2, ['C', 3, ['C', 4]]]], ['C', 1, 2, 3, 4]],
    ['unwraps a composite of one child', ['S', ['C', 1], 2], ['S', 1, 2]],
    ['unwraps the top', ['C', ['S', ['C', 7]]], 7],
    ['drops what is empty', ['S', ['C'], 1, ['S', ['C']], 2], ['S', 1, 2]],
    ['inlines what an unwrapping brings up', ['S', 1, ['C', ['S', 2, 3]]], ['S', 1, 2, 3]],
    ['keeps composites of other kinds', ['S', ['C', 1, 2], 3], ['S', ['C', 1, 2], 3]],
    ['leaves nothing of nothing', ['C', ['S'], ['C']], ['C']],
  ] as [string, JsonValue, JsonValue][])('%s', (_, from, to) => {
    expect(flattened(from)).toEqual(to);
  });

  it('N8 takes composites of more children than a call takes arguments', () => {
    const many: Flow[] = Array.from({ length: 300_000 }, (_, index) => ({ kind: 'atom', step: index + 1 }));
    const flow = flatten({ kind: 'concurrence', flows: [{ kind: 'concurrence', flows: many }] });
    expect(flow.kind === 'concurrence' && flow.flows.length).toBe(300_000);
  });
});
