import { describe, expect, it } from 'vitest';
import type { JsonValue } from '@dynflow/kernel';
import { decodeFlow, type Flow } from './flow.js';
import { FlowCursor, type StepProgress } from './flow-cursor.js';

/** A walk over a flow in which a test says how each step ends. */
class Walk {
  readonly progress = new Map<number, StepProgress>();
  readonly cursor: FlowCursor;

  constructor(flow: JsonValue | Flow, over: Record<number, StepProgress> = {}) {
    Object.entries(over).forEach(([step, progress]) => this.progress.set(Number(step), progress));
    const decoded = typeof flow === 'object' && flow !== null && 'kind' in flow ? (flow as Flow) : decodeFlow(flow as JsonValue);
    this.cursor = new FlowCursor(decoded, (step) => this.progress.get(step) ?? 'open');
  }

  begin(): number[] {
    return this.cursor.begin();
  }

  finish(step: number): number[] {
    this.progress.set(step, 'finished');
    return this.cursor.stepIsOver(step);
  }

  fail(step: number): number[] {
    this.progress.set(step, 'failed');
    return this.cursor.stepIsOver(step);
  }
}

describe('a flow cursor', () => {
  it('EX39: starts with the heads of all parallel branches', () => {
    expect(new Walk(['C', ['S', 1, 2], ['S', 3, 4], 5]).begin()).toEqual([1, 3, 5]);
  });

  it('EX40: lets the successor of a finished step start, and nothing else', () => {
    const walk = new Walk(['C', ['S', 1, 2], ['S', 3, 4]]);
    walk.begin();
    expect(walk.finish(3)).toEqual([4]);
    expect(walk.finish(1)).toEqual([2]);
  });

  it('EX41: has nothing after the last step of a branch, and is finished when all branches are', () => {
    const walk = new Walk(['C', ['S', 1, 2], 3]);
    walk.begin();
    expect(walk.finish(3)).toEqual([]);
    expect(walk.cursor.outcome).toBe('under way');
    expect(walk.finish(1)).toEqual([2]);
    expect(walk.finish(2)).toEqual([]);
    expect(walk.cursor.outcome).toBe('finished');
  });

  it('EX42: starts nothing behind a failed step', () => {
    const walk = new Walk(['S', 1, 2]);
    walk.begin();
    expect(walk.fail(1)).toEqual([]);
    expect(walk.cursor.outcome).toBe('failed');
  });

  it('EX43: has failed when the other branches are over, not before', () => {
    const walk = new Walk(['S', ['C', ['S', 1, 2], ['S', 3, 4]], 5]);
    walk.begin();
    expect(walk.fail(1)).toEqual([]);
    expect(walk.cursor.outcome).toBe('under way');
    expect(walk.finish(3)).toEqual([4]);
    expect(walk.finish(4)).toEqual([]);
    expect(walk.cursor.outcome).toBe('failed');
  });

  it('goes behind a concurrence only when its last branch is over', () => {
    const walk = new Walk(['S', ['C', 1, 2], 3]);
    walk.begin();
    expect(walk.finish(1)).toEqual([]);
    expect(walk.finish(2)).toEqual([3]);
  });

  it.each([
    ['EX25 an empty concurrence', ['C']],
    ['EX25 an empty sequence', ['S']],
    ['composites of nothing', ['S', ['C'], ['C', ['S'], ['S']]]],
  ] as [string, JsonValue][])('is finished at once with %s', (_, flow) => {
    const walk = new Walk(flow);
    expect(walk.begin()).toEqual([]);
    expect(walk.cursor.outcome).toBe('finished');
  });

  it('hears of a step that is not under way without effect', () => {
    const walk = new Walk(['S', 1, 2]);
    walk.begin();
    expect(walk.finish(2)).toEqual([]);
    expect(walk.finish(9)).toEqual([]);
    walk.progress.delete(2);
    expect(walk.finish(1)).toEqual([2]);
    expect(walk.finish(1)).toEqual([]);
  });

  it('goes on where a resumed plan stood, past what is finished', () => {
    const walk = new Walk(['S', 1, ['C', ['S', 2, 3], ['S', 4, 5]], 6], { 1: 'finished', 2: 'finished', 4: 'finished', 5: 'finished' });
    expect(walk.begin()).toEqual([3]);
    expect(walk.finish(3)).toEqual([6]);
    expect(walk.finish(6)).toEqual([]);
    expect(walk.cursor.outcome).toBe('finished');
  });

  it('has failed at once where a stored failure stands in the way of all', () => {
    const walk = new Walk(['S', 1, 2], { 1: 'failed' });
    expect(walk.begin()).toEqual([]);
    expect(walk.cursor.outcome).toBe('failed');
  });

  it('runs the siblings of a stored failure to their end', () => {
    const walk = new Walk(['C', ['S', 1, 2], ['S', 3, 4]], { 1: 'failed', 3: 'finished' });
    expect(walk.begin()).toEqual([4]);
    expect(walk.finish(4)).toEqual([]);
    expect(walk.cursor.outcome).toBe('failed');
  });
});

describe('a flow cursor on a large flow', () => {
  const count = 100_000;
  const atoms: Flow[] = Array.from({ length: count }, (_, index) => ({ kind: 'atom', step: index + 1 }));
  const finished: Record<number, StepProgress> = Object.fromEntries(atoms.map((_, index) => [index + 1, 'finished' as const]));

  it('N8 walks a wide concurrence', () => {
    const walk = new Walk({ kind: 'concurrence', flows: atoms });
    const ready = walk.begin();
    expect(ready).toHaveLength(count);
    ready.forEach((step) => walk.finish(step));
    expect(walk.cursor.outcome).toBe('finished');
  });

  it('walks a long sequence', () => {
    const walk = new Walk({ kind: 'sequence', flows: atoms });
    let [step] = walk.begin();
    while (step !== undefined) {
      [step] = walk.finish(step);
    }
    expect(walk.cursor.outcome).toBe('finished');
  });

  it('passes a long finished sequence of steps, and one of composites, without nesting calls', () => {
    const composites: Flow[] = atoms.map((atom) => ({ kind: 'concurrence', flows: [atom] }));
    for (const flows of [atoms, composites]) {
      const walk = new Walk({ kind: 'sequence', flows }, finished);
      expect(walk.begin()).toEqual([]);
      expect(walk.cursor.outcome).toBe('finished');
    }
  });

  it('walks a flow as deep as it is long', () => {
    let flow: Flow = { kind: 'atom', step: 1 };
    for (let depth = 0; depth < count; depth += 1) {
      flow = { kind: depth % 2 === 0 ? 'sequence' : 'concurrence', flows: [flow] };
    }
    const walk = new Walk(flow);
    expect(walk.begin()).toEqual([1]);
    expect(walk.finish(1)).toEqual([]);
    expect(walk.cursor.outcome).toBe('finished');
  });
});
