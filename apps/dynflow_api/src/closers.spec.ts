import { describe, expect, it } from 'vitest';
import { Closers } from './closers.js';

function setUp() {
  const closers = new Closers();
  const order: string[] = [];
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  const log = { debug: ignore, info: ignore, warn: (message: string) => void warnings.push(message), error: ignore };
  const add = (name: string, fails = false): void =>
    closers.add(() => {
      order.push(name);
      return fails ? Promise.reject(new Error(name)) : Promise.resolve();
    });
  return { closers, order, warnings, log, add };
}

describe('what is to happen before the end', () => {
  it('EX49: happens, what was opened last first', async () => {
    const { closers, order, log, add } = setUp();
    add('database');
    add('bus');
    await closers.closeAll(log);
    expect(order).toEqual(['bus', 'database']);
  });

  it('EX50: happens also when something before it fails, which is said', async () => {
    const { closers, order, warnings, log, add } = setUp();
    add('database');
    add('bus', true);
    add('executor');
    await closers.closeAll(log);
    expect(order).toEqual(['executor', 'bus', 'database']);
    expect(warnings).toHaveLength(1);
  });
});
