import { describe, expect, it } from 'vitest';
import { Limiter } from './limiter.js';

describe('Limiter', () => {
  it('lets no more in than its limit, in order, also after failures', async () => {
    const limiter = new Limiter(2);
    const started: number[] = [];
    let inside = 0;
    let most = 0;
    const job = (number: number) =>
      limiter.run(async () => {
        started.push(number);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        if (number === 1) throw new Error('fails');
        return number;
      });
    const results = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(job));
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', ...Array<string>(4).fill('fulfilled')]);
    expect(started).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(2);
    expect(limiter.isIdle).toBe(true);
  });

  it('takes out of the queue who no longer wants in', async () => {
    const limiter = new Limiter(1);
    let release: () => void = () => undefined;
    const first = limiter.run(() => new Promise<void>((resolve) => (release = resolve)));
    const abort = new AbortController();
    const second = limiter.run(() => Promise.resolve('ran'), abort.signal);
    const third = limiter.run(() => Promise.resolve('ran'));
    abort.abort(new Error('changed my mind'));
    await expect(second).rejects.toThrow('changed my mind');
    release();
    await first;
    expect(await third).toBe('ran');
    await expect(limiter.run(() => Promise.resolve(), AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
    expect(limiter.isIdle).toBe(true);
  });
});
