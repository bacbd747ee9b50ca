import { describe, expect, it } from 'vitest';
import type { JsonValue } from '@dynflow/kernel';
import { FlowBuilder, UnresolvedDependencyError } from './flow-builder.js';
import { encodeFlow } from './flow.js';
import { InvalidPlanError } from './plan-expansion.js';

/** A plan in short: a step with what it needs, or a composite. An action's body is a concurrence, as in planning. */
type Piece = { step: number; needs?: number[] } | { sequence: Piece[] } | { concurrence: Piece[] };

function fill(flow: FlowBuilder, pieces: readonly Piece[]): void {
  for (const piece of pieces) {
    if ('step' in piece) {
      flow.addStep(piece.step, piece.needs ?? []);
    } else if ('sequence' in piece) {
      flow.nest('sequence', () => fill(flow, piece.sequence));
    } else {
      flow.nest('concurrence', () => fill(flow, piece.concurrence));
    }
  }
}

function built(...pieces: Piece[]): JsonValue {
  const flow = new FlowBuilder();
  fill(flow, pieces);
  return encodeFlow(flow.build());
}

describe('placing a piece', () => {
  it('ignores an empty one', () => {
    expect(built({ sequence: [] }, { concurrence: [{ sequence: [] }] })).toEqual(['C']);
    expect(built({ sequence: [] }, { step: 1 })).toBe(1);
  });

  it('puts independent steps side by side', () => {
    expect(built({ step: 1 }, { step: 2 })).toEqual(['C', 1, 2]);
  });

  it('EP22 puts a step behind the one it needs; independent branches stay parallel', () => {
    expect(built({ step: 4 }, { step: 7, needs: [4] }, { step: 9, needs: [7] }, { step: 13 }, { step: 16, needs: [13] })).toEqual([
      'C',
      ['S', 4, 7, 9],
      ['S', 13, 16],
    ]);
  });

  it('EP26 puts a step that needs several behind a concurrence of just those', () => {
    expect(built({ step: 1 }, { step: 2 }, { step: 3 }, { step: 4, needs: [1, 3] })).toEqual(['C', 2, ['S', ['C', 1, 3], 4]]);
  });

  it('EP27 makes the same shape with explicit blocks', () => {
    expect(built({ sequence: [{ concurrence: [{ step: 1 }, { step: 2 }] }, { step: 3 }] })).toEqual(['S', ['C', 1, 2], 3]);
    expect(built({ step: 1 }, { step: 2 }, { step: 3, needs: [1, 2] })).toEqual(['S', ['C', 1, 2], 3]);
  });

  it('serialises what a tree cannot say: a step that needs a member of a chain waits for the chain', () => {
    expect(built({ step: 1 }, { step: 2, needs: [1] }, { step: 3, needs: [1] })).toEqual(['S', 1, 2, 3]);
  });

  it('collapses to one step', () => {
    expect(built({ concurrence: [{ sequence: [{ step: 3 }] }] })).toBe(3);
  });

  it('appends to a sequence whatever the piece needs', () => {
    expect(built({ sequence: [{ step: 1 }, { step: 2 }, { step: 3, needs: [1] }] })).toEqual(['S', 1, 2, 3]);
  });

  it('nests sequences and concurrences freely', () => {
    expect(
      built({
        sequence: [
          { step: 1 },
          { concurrence: [{ step: 2 }, { sequence: [{ step: 3 }, { step: 4 }] }] },
          { sequence: [{ step: 5 }, { step: 6 }] },
        ],
      }),
    ).toEqual(['S', 1, ['C', 2, ['S', 3, 4]], 5, 6]);
  });

  it('waits for one member of a parallel sibling, not for all of it', () => {
    // An action's body is a concurrence within its parent's: its members are siblings of what comes after it.
    expect(built({ concurrence: [{ step: 1 }, { step: 2 }] }, { step: 3, needs: [1] })).toEqual(['C', 2, ['S', 1, 3]]);
  });

  it('puts a whole composite behind what one of its steps needs', () => {
    expect(built({ step: 1 }, { step: 2 }, { concurrence: [{ step: 3, needs: [1] }, { step: 4 }] })).toEqual([
      'C',
      2,
      ['S', 1, ['C', 3, 4]],
    ]);
  });

  it('keeps a need open for the enclosing level', () => {
    expect(built({ step: 1 }, { sequence: [{ step: 2 }, { concurrence: [{ step: 3, needs: [1] }] }] })).toEqual(['S', 1, 2, 3]);
  });

  it('knows at the enclosing level where the steps of a closed composite are', () => {
    expect(built({ sequence: [{ step: 1 }, { concurrence: [{ step: 2 }, { step: 3 }] }] }, { step: 4 }, { step: 5, needs: [3] })).toEqual([
      'C',
      4,
      ['S', 1, ['C', 2, 3], 5],
    ]);
  });

  it('refuses a need that nothing in the flow meets', () => {
    expect(() => built({ step: 1 }, { step: 2, needs: [9] })).toThrow(UnresolvedDependencyError);
    expect(() => built({ sequence: [{ concurrence: [] }, { step: 2, needs: [9] }] })).toThrow('9');
  });

  it('refuses a need of what comes later', () => {
    expect(() => built({ step: 2, needs: [3] }, { step: 3 })).toThrow(UnresolvedDependencyError);
  });
});

describe('a large flow', () => {
  const count = 10_000;

  it.each([
    ['in a row by needs', (n: number) => (n === 1 ? [] : [n - 1])],
    ['all behind the first', (n: number) => (n === 1 ? [] : [1])],
  ] as [string, (n: number) => number[]][])('N8 is built of 10,000 steps %s', (_, needs) => {
    const flow = new FlowBuilder();
    for (let step = 1; step <= count; step += 1) {
      flow.addStep(step, needs(step));
    }
    const built10k = flow.build();
    expect(built10k.kind).toBe('sequence');
    expect(built10k.kind === 'sequence' && built10k.flows.every(({ kind }) => kind === 'atom')).toBe(true);
  });

  it('N8 is built of 10,000 steps side by side with one that needs them all', () => {
    const flow = new FlowBuilder();
    const steps = Array.from({ length: count }, (_, index) => index + 1);
    steps.forEach((step) => flow.addStep(step, []));
    flow.addStep(count + 1, steps);
    expect(encodeFlow(flow.build())).toEqual(['S', ['C', ...steps], count + 1]);
  });

  it('that is too deep is refused in words, not by an overflow', () => {
    const flow = new FlowBuilder();
    // Each pair needs the whole of what came before and something of its own beside it, so that nothing can be inlined.
    for (let step = 1; step < 20_000; step += 2) {
      flow.addStep(step, step === 1 ? [] : [step - 2, step - 1]);
      flow.addStep(step + 1, []);
    }
    expect(() => flow.build()).toThrow(InvalidPlanError);
  });
});
