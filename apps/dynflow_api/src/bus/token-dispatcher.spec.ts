import { describe, expect, it } from 'vitest';
import { InProcessBus, workQueues, type MessageBus } from '@dynflow/bus';
import { ManualClock } from '@dynflow/testing';
import { TokenDispatcher, type ReadyToken } from './token-dispatcher.js';

const queue = workQueues.steps('example', 'default');

function token(plan: number): ReadyToken {
  return {
    plugin: 'example',
    queue: 'default',
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
});
