import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SystemClock } from '@dynflow/platform';

const START_MS = 1_000_000;

describe('the clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: START_MS });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** When each of these appointments was kept, in the order in which they were. */
  function kept(delays: readonly number[]): { delayMs: number; atMs: number }[] {
    const clock = new SystemClock();
    const log: { delayMs: number; atMs: number }[] = [];
    for (const delayMs of delays) {
      clock.at(START_MS + delayMs, () => log.push({ delayMs, atMs: clock.now() - START_MS }));
    }
    vi.advanceTimersByTime(10_000);
    return log;
  }

  it('CL2: takes whatever can be called', () => {
    const clock = new SystemClock();
    const list: string[] = [];
    clock.at(START_MS + 5, () => list.push('in a list'));
    clock.at(START_MS + 6, list.sort.bind(list));
    vi.advanceTimersByTime(10);
    expect(list).toEqual(['in a list']);
  });

  it('CL3: delivers the very thing that it was given', () => {
    const thing = { some: 'thing' };
    const received: unknown[] = [];
    new SystemClock().at(START_MS + 5, () => received.push(thing));
    vi.advanceTimersByTime(5);
    expect(received[0]).toBe(thing);
  });

  it('CL4: keeps an appointment at its time, not before', () => {
    expect(kept([100.25])).toEqual([{ delayMs: 100.25, atMs: 101 }]);
  });

  it('CL5: keeps appointments in the order of their times, not of their making', () => {
    expect(kept([300, 100, 200]).map(({ delayMs }) => delayMs)).toEqual([100, 200, 300]);
  });

  it('CL6: keeps each at its own time', () => {
    expect(kept([100, 200, 300]).map(({ atMs }) => atMs)).toEqual([100, 200, 300]);
  });

  it('CL7: loses none of many', () => {
    const delays = Array.from({ length: 80 }, (_, n) => (n * 37) % 1_000);
    expect(kept(delays).map(({ delayMs }) => delayMs)).toEqual(delays.toSorted((a, b) => a - b));
  });
});
