import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Screen } from './screen.js';
import type { ScreenOptions } from './screen.js';

let written: string;

beforeEach(() => {
  written = '';
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function screen(options: Partial<ScreenOptions> & { columns?: number } = {}): Screen {
  const { columns = 20, ...rest } = options;
  const target = { write: (text: string) => (written += text), columns };
  return new Screen({ target, isTerminal: true, hasColours: false, hasUnicode: false, ...rest });
}

/** What a terminal shows: a carriage return goes to the start of the line, `ESC [ K` clears it. */
function shown(): string {
  return written
    .split('\n')
    .map((line) => line.split('\r\u{1b}[K').at(-1))
    .join('\n');
}

describe('Screen', () => {
  it('keeps the status below the lines, and takes it away', () => {
    const subject = screen();
    let count = 0;
    subject.showStatus(() => `status ${count}`);
    subject.line('first');
    count = 1;
    vi.advanceTimersByTime(100);
    expect(shown()).toBe('first\nstatus 1');

    subject.line('second');
    expect(shown()).toBe('first\nsecond\nstatus 1');
    subject.clearStatus();
    subject.line('third');
    expect(shown()).toBe('first\nsecond\nthird\n');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('cuts a status that would wrap, and paints only where there is colour', () => {
    const plain = screen({ columns: 6 });
    plain.showStatus(() => plain.paint('0123456789', 'red'));
    expect(shown()).toBe('01234');
    plain.clearStatus();

    expect(screen({ hasColours: true }).paint('x', 'bold', 'red')).toBe('\u{1b}[31m\u{1b}[1mx\u{1b}[22m\u{1b}[39m');
  });

  it('writes whole lines only where there is no terminal, and reminds of a step that takes long', async () => {
    const subject = screen({ isTerminal: false });
    subject.showStatus(() => 'never seen');
    let finish: (() => void) | undefined;
    const step = subject.step('Slow', () => new Promise<[number, string]>((resolve) => (finish = () => resolve([7, 'ready']))));
    await vi.advanceTimersByTimeAsync(25_000);
    finish?.();

    expect(await step).toBe(7);
    expect(written).toBe('  Slow: 10 s\n  Slow: 20 s\n  * Slow              ready\n');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says that a step failed', async () => {
    await expect(screen().step('Bad', () => Promise.reject(new Error('no')))).rejects.toThrow('no');

    expect(shown()).toBe('  x Bad\n');
    expect(vi.getTimerCount()).toBe(0);
  });
});
