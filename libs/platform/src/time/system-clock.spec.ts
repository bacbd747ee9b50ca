import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RandomIds } from './random-ids.js';
import { SystemClock } from './system-clock.js';

describe('SystemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('keeps an appointment once, not before its time', () => {
    const callback = vi.fn<() => void>();
    new SystemClock().at(1_000_500.25, callback);

    vi.advanceTimersByTime(500);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    vi.advanceTimersByTime(60_000);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('keeps an appointment in the past soon, but not in the caller’s own stack', () => {
    const callback = vi.fn<() => void>();
    new SystemClock().at(5, callback);

    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('keeps an appointment that is further away than a timer reaches', () => {
    const callback = vi.fn<() => void>();
    const delayMs = 2 ** 31 + 7;
    new SystemClock().at(1_000_000 + delayMs, callback);

    vi.advanceTimersByTime(delayMs - 1);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('waits on when the wall clock was set back meanwhile', () => {
    const callback = vi.fn<() => void>();
    new SystemClock().at(1_001_000, callback);

    vi.setSystemTime(999_000);
    vi.advanceTimersByTime(1_000);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('is no more than a minute late when the wall clock was set forward meanwhile', () => {
    const callback = vi.fn<() => void>();
    new SystemClock().at(1_000_000 + 3_600_000, callback);

    vi.setSystemTime(1_000_000 + 7_200_000);
    vi.advanceTimersByTime(60_000);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('takes an appointment back, also one that was renewed, and twice', () => {
    const callback = vi.fn<() => void>();
    const cancel = new SystemClock().at(1_000_000 + 2 ** 32, callback);

    vi.advanceTimersByTime(2 ** 31 + 5);
    cancel();
    cancel();
    vi.advanceTimersByTime(2 ** 32);
    expect(callback).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('SystemClock and the process', () => {
  it('keeps the process running only if asked to', () => {
    const active = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = active();

    const cancelQuiet = new SystemClock({ keepsProcess: false }).at(Date.now() + 60_000, () => undefined);
    expect(active()).toBe(before);
    const cancel = new SystemClock().at(Date.now() + 60_000, () => undefined);
    expect(active()).toBe(before + 1);
    cancel();
    cancelQuiet();
  });
});

describe('RandomIds', () => {
  it('gives a new identifier of RFC 9562 each time', () => {
    const ids = new RandomIds();

    const made = Array.from({ length: 100 }, () => ids.uuid());
    expect(new Set(made).size).toBe(100);
    expect(made.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
  });
});
