import { describe, expect, it } from 'vitest';
import { InProcessBus, workQueues, type MessageBus } from '@dynflow/bus';
import { ManualClock } from '@dynflow/testing';
import type { ReadyToken, Standing } from '@dynflow/engine';
import { TokenDispatcher } from './token-dispatcher.js';

const queue = workQueues.steps('example', 'default');

function token(plan: number, standing: Partial<Standing> = {}): ReadyToken {
  return {
    plugin: 'example',
    queue: 'default',
    priority: 0,
    parent: `plan-${plan}`,
    age: plan,
    ...standing,
    token: { type: 'step.token', version: 1, shard: 0, plan: `plan-${plan}`, step: 2, attempt: 1 },
  };
}

const tokens = (count: number): ReadyToken[] => Array.from({ length: count }, (_, index) => token(index));
const claimOf = (ready: ReadyToken) => ({ plan: ready.token.plan, step: ready.token.step, attempt: ready.token.attempt });

async function setUp(slots: number) {
  const bus: MessageBus = new InProcessBus();
  await bus.ensureWorkQueue(queue);
  const clock = new ManualClock();
  const state = { slots };
  const dispatcher = new TokenDispatcher({ bus, clock, slotsOf: () => state.slots, onFault: () => undefined });
  const reader = bus.reader(queue);
  /** Everything that is on the bus now. */
  const published = async (): Promise<string[]> => {
    const found: string[] = [];
    for (;;) {
      const abort = new AbortController();
      const next = reader.next({ expiresMs: 1_000, signal: abort.signal });
      setImmediate(() => abort.abort());
      const delivery = await next;
      if (delivery === null) {
        return found;
      }
      delivery.ack();
      found.push((delivery.message as { plan: string }).plan);
    }
  };
  return { dispatcher, clock, state, published };
}

describe('TokenDispatcher', () => {
  it('publishes twice the slots, in order, and the rest as claims come', async () => {
    const { dispatcher, published } = await setUp(2);

    dispatcher.add(tokens(6));
    expect(await published()).toEqual(['plan-0', 'plan-1', 'plan-2', 'plan-3']);
    expect(dispatcher.backlog).toBe(2);

    dispatcher.claimed('example', [claimOf(token(0)), claimOf(token(1))]);
    expect(await published()).toEqual(['plan-4', 'plan-5']);
    expect(dispatcher.backlog).toBe(0);
  });

  it('holds everything while no executor takes work, and publishes when one comes', async () => {
    const { dispatcher, state, published } = await setUp(0);
    dispatcher.add(tokens(3));
    expect(await published()).toEqual([]);

    state.slots = 5;
    dispatcher.slotsChanged('example');

    expect(await published()).toEqual(['plan-0', 'plan-1', 'plan-2']);
  });

  it('publishes again what nobody claimed for a while, as long as it is still ready', async () => {
    const { dispatcher, clock, published } = await setUp(5);
    dispatcher.add(tokens(3));
    await published();

    clock.advance(10_000);
    dispatcher.republish(tokens(3), { isBusNew: false });
    expect(await published()).toEqual([]);

    clock.advance(30_000);
    dispatcher.republish([token(1)], { isBusNew: false });
    expect(await published()).toEqual(['plan-1']);
  });

  it('publishes all that is ready again when the bus is new', async () => {
    const { dispatcher, published } = await setUp(5);
    dispatcher.add(tokens(2));
    await published();

    dispatcher.republish(tokens(2), { isBusNew: true });

    expect(await published()).toEqual(['plan-0', 'plan-1']);
  });

  it('does not double what waits in the backlog', async () => {
    const { dispatcher, state, published } = await setUp(0);
    dispatcher.add(tokens(2));

    dispatcher.republish(tokens(2), { isBusNew: false });
    state.slots = 5;
    dispatcher.slotsChanged('example');

    expect(await published()).toEqual(['plan-0', 'plan-1']);
  });

  it('publishes by priority, then parents by turns, then by age, also what comes later', async () => {
    const { dispatcher, state, published } = await setUp(0);
    dispatcher.add([
      token(1, { parent: 'a' }),
      token(2, { parent: 'a' }),
      token(3, { parent: 'b' }),
      token(4, { parent: 'c', priority: -1 }),
    ]);
    dispatcher.add([token(5, { parent: 'c', priority: 7 })]);
    state.slots = 5;
    dispatcher.slotsChanged('example');

    expect(await published()).toEqual(['plan-5', 'plan-1', 'plan-3', 'plan-2', 'plan-4']);
  });

  it('drops what is not ready any more when its turn comes', async () => {
    const { dispatcher, state, published } = await setUp(0);
    dispatcher.add(tokens(3));
    dispatcher.republish([token(1)], { isBusNew: false });
    expect(dispatcher.backlog).toBe(1);
    state.slots = 5;
    dispatcher.slotsChanged('example');

    expect(await published()).toEqual(['plan-1']);
  });

  it('offers a token that came to the wrong executor again soon, less often each time, and not when it is not ready any more', async () => {
    const { dispatcher, clock, published } = await setUp(5);
    const miss = (): void => {
      dispatcher.claimed('example', [claimOf(token(1))]);
      dispatcher.offerAgain(token(1));
      dispatcher.republish([token(1)], { isBusNew: false });
    };
    dispatcher.add([token(1)]);
    for (const pauseMs of [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]) {
      expect(await published()).toEqual(['plan-1']);
      miss();
      clock.advance(pauseMs - 1);
      expect(await published()).toEqual([]);
      clock.advance(1);
    }
    expect(await published()).toEqual(['plan-1']);
    miss();
    dispatcher.republish([], { isBusNew: false });
    clock.advance(60_000);
    expect(await published()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('takes the next ones out of a hundred thousand', async () => {
    const { dispatcher, state, published } = await setUp(0);
    const count = 100_000;
    const all = Array.from({ length: count }, (_, index) => token(index, { parent: `batch-${index % 10}`, priority: index % 3 }));
    dispatcher.add(all);
    expect(dispatcher.backlog).toBe(count);
    state.slots = 5;
    dispatcher.slotsChanged('example');
    const first = await published();
    expect(first).toHaveLength(10);
    expect(new Set(first.map((plan) => Number(plan.slice(5)) % 10)).size).toBe(10);
    expect(first.every((plan) => Number(plan.slice(5)) % 3 === 2)).toBe(true);
    dispatcher.claimed('example', all.map(claimOf));
    expect(dispatcher.backlog).toBe(count - 20);
  });
});
