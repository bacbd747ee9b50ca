import { describe, expect, it } from 'vitest';
import { ManualClock } from '@dynflow/testing/engine';
import { startSpecExecutor } from '../spec-support/spec-executor.js';
import { suspend } from '@dynflow/plugin';
import { SaidProgress } from './said-progress.js';

function saying(): { clock: ManualClock; sent: number[]; progress: SaidProgress } {
  const clock = new ManualClock();
  const sent: number[] = [];
  return { clock, sent, progress: new SaidProgress(clock, (fraction) => sent.push(fraction)) };
}

describe('progress that a run says', () => {
  it('is sent at once, then the latest of each quarter of a second', () => {
    const { clock, sent, progress } = saying();
    for (let percent = 1; percent <= 100; percent += 1) {
      progress.say(percent / 100);
      clock.advance(10);
    }
    expect(sent).toEqual([0.01, 0.25, 0.5, 0.75, 1]);
  });

  it('is given back at the end if it was not sent, and never comes after', () => {
    const { clock, sent, progress } = saying();
    progress.say(0.1);
    progress.say(0.2);
    expect(progress.end()).toBe(0.2);
    clock.advance(1_000);
    expect([sent, progress.end(), clock.pending]).toEqual([[0.1], undefined, 0]);
  });

  it('is a fraction whatever was said', () => {
    const { clock, sent, progress } = saying();
    for (const said of [Number.NaN, -1, 7, Number.POSITIVE_INFINITY]) {
      progress.say(said);
      clock.advance(250);
    }
    expect(sent).toEqual([0, 0, 1, 1]);
  });
});

describe('the progress of a step', () => {
  const told = async (end: () => Promise<never> | Promise<ReturnType<typeof suspend>>): Promise<unknown[]> => {
    const { owner } = await startSpecExecutor({
      name: 'Work',
      run: async (context) => {
        context.progress(0.1);
        context.progress(0.2);
        return end();
      },
    });
    await owner.token('p1');
    await owner.until(() => owner.reports.some(({ outcome }) => outcome.kind !== 'checkpoint'));
    return owner.reports.map(({ outcome }) => ('progress' in outcome ? [outcome.kind, outcome.progress] : outcome.kind));
  };

  it('goes along with a suspension', async () => {
    const reports = await told(async () => Promise.resolve(suspend({ checkpoint: 1, waitingFor: 'more' })));
    expect(reports.at(-1)).toEqual(['suspended', 0.2]);
  });

  it('is told before a failure', async () => {
    const reports = await told(async () => Promise.reject(new Error('as it should')));
    expect(reports.slice(-2)).toEqual([['checkpoint', 0.2], 'failed']);
  });
});
