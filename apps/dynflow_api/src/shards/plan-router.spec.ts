import { describe, expect, it } from 'vitest';
import { InvalidInputError, NotFoundError, UnavailableError, type JsonValue } from '@dynflow/kernel';
import { InProcessBus } from '@dynflow/bus';
import { subjects, type PlanOperation } from '@dynflow/contracts';
import { ManualClock } from '@dynflow/testing';
import { PlanRouter } from './plan-router.js';

/** Two gateways over one bus; plan `a` is in shard 1, which the first has, `b` in shard 2, which the second has, `c` in nobody's. */
function setUp(perform: (at: string, operation: PlanOperation) => JsonValue = (at) => at) {
  const bus = new InProcessBus();
  const clock = new ManualClock();
  const shards = new Map([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ]);
  const gateway = (name: string, owned: number[]): PlanRouter => {
    const router = new PlanRouter({
      bus,
      clock,
      owned: () => owned,
      shardOf: (plan) => Promise.resolve(shards.get(plan)),
      perform: (operation) => Promise.resolve().then(() => perform(name, operation)),
    });
    owned.forEach((shard) => bus.subscribe(subjects.gateway(shard), (message) => router.answer(message)));
    return router;
  };
  return { clock, bus, one: gateway('one', [1]), two: gateway('two', [2]), gateway };
}

const cancel = (plan: string): PlanOperation => ({ op: 'cancel', plan, force: false });

describe('PlanRouter', () => {
  it('does at home what belongs there, and has the owner do the rest, whoever is asked', async () => {
    const { one, two } = setUp();
    expect(await Promise.all([one.perform(cancel('a')), one.perform(cancel('b')), two.perform(cancel('a'))])).toEqual([
      'one',
      'two',
      'one',
    ]);
  });

  it('throws what the owner threw, with its class, code and field', async () => {
    const errors = [
      new NotFoundError('DYN_STEP_NOT_FOUND', 'no such step'),
      new InvalidInputError('step', 'step: expected a number'),
      new UnavailableError('DYN_PLAN_UNREAD', 'later'),
    ];
    for (const error of errors) {
      const { one } = setUp(() => {
        throw error;
      });
      const thrown = await one.perform(cancel('b')).catch((caught: unknown) => caught);
      expect(thrown).toBeInstanceOf(error.constructor);
      expect(thrown).toMatchObject({
        code: error.code,
        message: error.message,
        ...(error instanceof InvalidInputError ? { field: 'step' } : {}),
      });
    }
  });

  it('says of an unknown plan that there is none', async () => {
    await expect(setUp().one.perform(cancel('x'))).rejects.toThrow(NotFoundError);
  });

  it('waits a moment for a shard that changes hands, and tells to come again when nobody takes it', async () => {
    const { one, clock, gateway } = setUp();
    const pass = async (ms: number): Promise<void> => {
      for (let passedMs = 0; passedMs < ms; passedMs += 250) {
        await new Promise<void>((resolve) => void setImmediate(resolve));
        clock.advance(250);
      }
    };
    const lost = one.perform(cancel('c')).catch((error: unknown) => error);
    await pass(11_000);
    expect(await lost).toMatchObject({ code: 'DYN_OWNER_AWAY' });

    const found = one.perform(cancel('c'));
    await pass(1_000);
    gateway('three', [3]);
    await pass(1_000);
    expect(await found).toBe('three');
  });
});
