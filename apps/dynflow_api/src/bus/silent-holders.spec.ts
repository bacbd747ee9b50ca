import { expect, it } from 'vitest';
import { ManualClock } from '@dynflow/testing';
import { SilentHolders } from './silent-holders.js';

const holder = { plugin: 'example', executor: 'one', startId: 'first' };
const everyMs = 10_000;

function setUp() {
  const clock = new ManualClock();
  let heardAtMs: number | undefined;
  const holders = new SilentHolders({ clock, lostAfterMs: 300_000, lastHeardMs: () => heardAtMs });
  /** Looks every ten seconds for so long. @returns after how many milliseconds it was gone. */
  const goneWithin = (ms: number): number | undefined => {
    for (let passedMs = everyMs; passedMs <= ms; passedMs += everyMs) {
      clock.advance(everyMs);
      if (holders.gone([holder], everyMs).length > 0) {
        return passedMs;
      }
    }
    return undefined;
  };
  return { clock, holders, goneWithin, heard: () => (heardAtMs = clock.now()) };
}

it('gives up who was never heard, counted from when this gateway began to listen', () => {
  expect(setUp().goneWithin(600_000)).toBe(300_000);
});

it('gives up who has fallen silent, counted from its last word', () => {
  const { goneWithin, heard } = setUp();
  expect(goneWithin(200_000)).toBeUndefined();
  heard();
  expect(goneWithin(600_000)).toBe(300_000);
});

it('does not count the time in which the gateway itself was cut off', () => {
  const { goneWithin, holders } = setUp();
  expect(goneWithin(290_000)).toBeUndefined();
  holders.listenAnew();
  expect(goneWithin(600_000)).toBe(300_000);
});

it('does not count the time in which the gateway itself stood still', () => {
  const { clock, goneWithin } = setUp();
  expect(goneWithin(100_000)).toBeUndefined();
  clock.advance(3_600_000);
  expect(goneWithin(290_000)).toBeUndefined();
  expect(goneWithin(600_000)).toBe(20_000);
});
