import type { CallPoint } from '@dynflow/testing/faults';
import type { MetPoint } from './victim.js';

/**
 * What a killed process leaves is what it has written. So all points between two writes leave the same, whatever was under way: this
 * takes the first and the last of each such stretch, and of all others every n-th.
 */
export function aroundWritesAndEvery(n: number): (points: readonly MetPoint[]) => readonly CallPoint[] {
  return (points) =>
    points.filter(({ bytes }, index) => {
      const isFirst = points[index - 1]?.bytes !== bytes;
      const isLast = points[index + 1]?.bytes !== bytes;
      return isFirst || isLast || index % n === 0;
    });
}

/** So many of these, evenly spread. */
export function spread(count: number, points: readonly CallPoint[]): readonly CallPoint[] {
  return points.filter((_, index) => Math.floor((index * count) / points.length) !== Math.floor(((index - 1) * count) / points.length));
}

/** Commits that have been made, of all parts of the run. */
export function someCommits(count: number): (points: readonly MetPoint[]) => readonly CallPoint[] {
  return (points) =>
    spread(
      count,
      points.filter(({ call, moment }) => call === 'Database.plans.commit' && moment === 'after'),
    );
}
