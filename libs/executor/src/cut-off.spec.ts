import { expect, it } from 'vitest';
import type { ActionDefinition } from '@dynflow/plugin';
import type { Heart } from './protocol/heart.js';
import { Gate, ManualClock } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

const untilAborted: Pick<ActionDefinition, 'name' | 'run'> = {
  name: 'Wait',
  run: async ({ signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve({ exit_status: 137 }));
    }),
};

it('ends what must not run twice before its gateway gives it up', async () => {
  const clock = new ManualClock();
  const { owner, log } = await startSpecExecutor(untilAborted, { clock });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  owner.isAway(true);
  await clock.pass(230);
  expect(owner.reports).toEqual([]);
  await clock.pass(15);
  expect(owner.reports.map(({ outcome }) => outcome)).toEqual([{ kind: 'done', output: { exit_status: 137 } }]);
  expect(log.lines.find((line) => line.startsWith('error'))).toMatch(/about to give up these steps.*"steps":1/);
});

it('gives up a run that does not end, as one of unknown outcome', async () => {
  const clock = new ManualClock();
  const gate = new Gate();
  const deaf = { name: 'Deaf', run: async () => gate.passed.then(() => ({})) };
  const { owner } = await startSpecExecutor(deaf, { clock });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  owner.isAway(true);
  await clock.pass(250);
  expect(owner.reports[0]?.outcome).toMatchObject({
    kind: 'failed',
    error: { kind: 'unknown', message: 'the executor gave this up, because it was cut off from every gateway; it may still be running' },
  });
  gate.open();
});

it.each(['resumable', 'idempotent'] as const)('leaves alone what is %s: it may be handed on and done again', async (kind) => {
  const clock = new ManualClock();
  const { owner } = await startSpecExecutor({ ...untilAborted, [kind]: true }, { clock });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  owner.isAway(true);
  await clock.pass(400);
  expect(owner.reports).toEqual([]);
});

it('ends it also when the whole process slept and a gateway answers as soon as it wakes', async () => {
  const clock = new ManualClock();
  const { owner } = await startSpecExecutor(untilAborted, { clock });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  await clock.pass(10);
  clock.advance(600_000);
  await clock.pass(2);
  expect(owner.reports).toHaveLength(1);
});

it('counts an outage anew after a gateway was heard', async () => {
  const clock = new ManualClock();
  const { owner } = await startSpecExecutor(untilAborted, { clock });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  owner.isAway(true);
  await clock.pass(200);
  owner.isAway(false);
  await clock.pass(10);
  owner.isAway(true);
  await clock.pass(200);
  expect(owner.reports).toEqual([]);
});

it('does not believe itself cut off when its heart was heard while its own thread was too busy to be told', async () => {
  const clock = new ManualClock();
  const heart: Heart = {
    get lastAnsweredMs() {
      return clock.now();
    },
    start: () => undefined,
    beatNow: () => undefined,
    changed: () => undefined,
    stop: () => undefined,
  };
  const { owner } = await startSpecExecutor(untilAborted, { clock, heart: () => heart });
  await owner.token('p1');
  await owner.until(() => owner.claimRequests.length === 1);
  await clock.pass(400);
  expect(owner.reports).toEqual([]);
});
