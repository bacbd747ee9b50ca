import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../logging/logger.js';
import { stopOnSignals } from './stop-on-signals.js';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];

  exit(code: number): void {
    this.exits.push(code);
  }
}

let target: FakeProcess;
let lines: string[];

beforeEach(() => {
  vi.useFakeTimers();
  target = new FakeProcess();
  lines = [];
});

afterEach(() => {
  vi.useRealTimers();
});

function stoppingWith(stop: (signal: string) => Promise<void>): () => void {
  const log = createLog({ level: 'info', format: 'json', sink: { write: (line) => lines.push(line) } });
  return stopOnSignals({ stop, limitMs: 1_000, log, process: target });
}

describe('stopOnSignals', () => {
  it('stops once, in good order', async () => {
    const stop = vi.fn<(signal: string) => Promise<void>>().mockResolvedValue();
    stoppingWith(stop);

    target.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(5_000);

    expect(stop).toHaveBeenCalledExactlyOnceWith('SIGTERM');
    expect(target.exits).toEqual([0]);
  });

  it('exits at once at a second signal', () => {
    stoppingWith(() => new Promise(() => undefined));

    target.emit('SIGTERM');
    target.emit('SIGINT');

    expect(target.exits).toEqual([130]);
  });

  it('hurries at a second signal what can be hurried, and exits at a third; without a limit it waits for ever', async () => {
    const log = createLog({ level: 'info', format: 'json', sink: { write: (line) => lines.push(line) } });
    let end: () => void = () => undefined;
    const hurry = vi.fn<() => void>();
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        end = resolve;
      });
    stopOnSignals({ stop, hurry, limitMs: null, log, process: target });

    target.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(7 * 86_400_000);
    expect(hurry).not.toHaveBeenCalled();
    target.emit('SIGTERM');
    expect(hurry).toHaveBeenCalledOnce();
    expect(target.exits).toEqual([]);
    end();
    await vi.advanceTimersByTimeAsync(0);
    expect(target.exits).toEqual([0]);

    target.emit('SIGTERM');
    expect(target.exits).toEqual([0, 130]);
  });

  it('exits with 1 when stopping takes too long or fails', async () => {
    stoppingWith(() => new Promise(() => undefined));
    target.emit('SIGINT');
    await vi.advanceTimersByTimeAsync(999);
    expect(target.exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(target.exits).toEqual([1]);

    target = new FakeProcess();
    stoppingWith(() => Promise.reject(new Error('the database is gone')));
    target.emit('SIGINT');
    await vi.advanceTimersByTimeAsync(0);
    expect(target.exits).toEqual([1]);
    expect(lines.join('')).toContain('the database is gone');
  });

  it('logs what nobody caught and exits with 1', () => {
    stoppingWith(() => Promise.resolve());

    target.emit('unhandledRejection', new Error('forgotten'));

    expect(lines.join('')).toContain('"msg":"nobody caught: forgotten"');
    expect(target.exits).toEqual([1]);
  });

  it('leaves no listener behind', () => {
    stoppingWith(() => Promise.resolve())();

    expect(target.eventNames()).toEqual([]);
  });
});
