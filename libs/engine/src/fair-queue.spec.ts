import { describe, expect, it } from 'vitest';
import { FairQueue } from './fair-queue.js';

function drained<T>(queue: FairQueue<T>): T[] {
  const items: T[] = [];
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    items.push(item);
  }
  return items;
}

describe('FairQueue', () => {
  it('gives the higher priority first, then each parent in turn, then by age', () => {
    const queue = new FairQueue<string>();
    for (const [item, priority, parent, age] of [
      ['a2', 0, 'a', 2],
      ['a1', 0, 'a', 1],
      ['a3', 0, 'a', 3],
      ['b4', 0, 'b', 4],
      ['high', 5, 'c', 9],
      ['low', -1, 'c', 0],
    ] as const) {
      queue.push(item, { priority, parent, age });
    }
    expect(queue.peek()).toBe('high');
    expect(drained(queue)).toEqual(['high', 'a1', 'b4', 'a2', 'a3', 'low']);
    expect(queue.size).toBe(0);
    expect(queue.peek()).toBeUndefined();
  });

  it('lets a parent that comes later have its turn at once', () => {
    const queue = new FairQueue<string>();
    for (let age = 0; age < 100; age += 1) {
      queue.push(`first ${age}`, { priority: 0, parent: 'first', age });
    }
    expect(queue.pop()).toBe('first 0');
    queue.push('second', { priority: 0, parent: 'second', age: 1_000 });
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual(['first 1', 'second', 'first 2']);
  });

  it('holds a hundred thousand items of one parent, in any order of their ages', () => {
    const queue = new FairQueue<number>();
    const count = 100_000;
    for (let index = 0; index < count; index += 1) {
      const age = (index * 7_919) % count;
      queue.push(age, { priority: index % 2, parent: 'one', age });
    }
    const all = drained(queue);
    expect(all).toHaveLength(count);
    const high = all.slice(0, count / 2);
    expect(high).toEqual(high.toSorted((a, b) => a - b));
    expect(all.slice(count / 2)).toEqual(all.slice(count / 2).toSorted((a, b) => a - b));
  });

  it('gives turns to a hundred thousand parents', () => {
    const queue = new FairQueue<number>();
    for (let index = 0; index < 200_000; index += 1) {
      queue.push(index, { priority: 0, parent: `p${index % 100_000}`, age: index });
    }
    expect(drained(queue)).toEqual(Array.from({ length: 200_000 }, (_, index) => index));
  });
});

describe('what waits its turn', () => {
  function queueOf(...items: readonly (readonly [item: string, priority: number, age: number])[]): FairQueue<string> {
    const queue = new FairQueue<string>();
    for (const [item, priority, age] of items) {
      queue.push(item, { priority, parent: 'one', age });
    }
    return queue;
  }

  it('UT1: has the highest priority first', () => {
    expect(queueOf(['low', 1, 0], ['high', 3, 0], ['middle', 2, 0]).peek()).toBe('high');
  });

  it('UT2: has the youngest last among those of one priority', () => {
    expect(drained(queueOf(['third', 0, 3], ['first', 0, 1], ['second', 0, 2]))).toEqual(['first', 'second', 'third']);
  });

  it('UT3: is not taken by looking, and is nothing when nobody waits', () => {
    expect(queueOf().peek()).toBeUndefined();
    const queue = queueOf(['only', 0, 0]);
    expect([queue.peek(), queue.peek(), queue.size]).toEqual(['only', 'only', 1]);
  });

  it('UT4: keeps all that are equal, and counts them', () => {
    const queue = queueOf(['a', 1, 1], ['b', 1, 1], ['c', 1, 1]);
    expect(queue.size).toBe(3);
    expect(drained(queue).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('UT5: is taken in order, and then there is nothing', () => {
    const queue = queueOf(['second', 1, 2], ['third', 0, 0], ['first', 1, 1]);
    expect([queue.pop(), queue.pop(), queue.pop(), queue.pop()]).toEqual(['first', 'second', 'third', undefined]);
  });
});
