import { BusUnavailableError, workQueues, type Delivery, type MessageBus, type WorkQueue, type WorkQueueReader } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { randomInt, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CONFORMANCE_PLUGIN as plugin, type BusWorld } from './bus-world.js';

const BACKLOG = 20_000;
const BACKLOG_TIMEOUT_MS = 60_000;

export function describeWorkQueues(world: () => BusWorld): void {
  describe('work queues', () => {
    it('keeps messages for whoever comes, first in, first out', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      for (let number = 0; number < 20; number += 1) {
        await gateway.enqueue(queue.filter, { number });
      }

      const taken = await take(executor.reader(queue), 20);

      expect(taken.map(({ message }) => message)).toEqual(Array.from({ length: 20 }, (_, number) => ({ number })));
      expect(taken.map(({ subject, deliveries }) => ({ subject, deliveries }))).toEqual(
        taken.map(() => ({ subject: queue.filter, deliveries: 1 })),
      );
    });

    it('wakes a reader that waits', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      const waiting = executor.reader(queue).next({ expiresMs: 30_000 });

      await gateway.enqueue(queue.filter, 'now');

      expect((await waiting)?.message).toBe('now');
    });

    it('shares the messages between readers, each to one of them', async () => {
      const { gateway, executor, otherExecutor } = world();
      const queue = await newQueue(gateway);
      const readers = [executor.reader(queue), otherExecutor.reader(queue)];
      const numbers = Array.from({ length: 100 }, (_, number) => number);
      await Promise.all(numbers.map((number) => gateway.enqueue(queue.filter, number)));

      const taken = await Promise.all(readers.map((reader) => take(reader, 50)));

      expect(
        taken
          .flat()
          .map(({ message }) => message as number)
          .sort((a, b) => a - b),
      ).toEqual(numbers);
    });

    it('takes one message for one call and leaves the others to others', async () => {
      const { gateway, executor, otherExecutor } = world();
      const queue = await newQueue(gateway);
      await gateway.enqueue(queue.filter, 1);
      await gateway.enqueue(queue.filter, 2);
      await gateway.enqueue(queue.filter, 3);

      const first = await executor.reader(queue).next({ expiresMs: 5_000 });
      const rest = await take(otherExecutor.reader(queue), 2);

      expect([first?.message, ...rest.map(({ message }) => message)]).toEqual([1, 2, 3]);
    });

    it('keeps the queues of one stream apart', async () => {
      const { gateway, executor } = world();
      const [one, other] = [await newQueue(gateway), await newQueue(gateway)];
      await gateway.enqueue(one.filter, 'one');
      await gateway.enqueue(other.filter, 'other');

      expect((await take(executor.reader(other), 1))[0]?.message).toBe('other');
      expect((await take(executor.reader(one), 1))[0]?.message).toBe('one');
    });

    it('takes every subject of its filter, and says which it was', async () => {
      const { gateway, executor } = world();
      const shard = randomInt(1_000_000_000);
      const inbox = workQueues.inbox(shard);
      await gateway.ensureWorkQueue(inbox);
      await executor.enqueue(subjects.inbox(shard, plugin), 'outcome');
      await gateway.enqueue(subjects.inbox(shard, 'gateway'), 'cancel');

      const taken = await take(gateway.reader(inbox), 2);

      expect(taken.map(({ subject, message }) => [subject, message])).toEqual([
        [subjects.inbox(shard, plugin), 'outcome'],
        [subjects.inbox(shard, 'gateway'), 'cancel'],
      ]);
    });

    it('is left as it is when made again', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      await gateway.enqueue(queue.filter, 'kept');

      await gateway.ensureWorkQueue(queue);
      await gateway.ensureWorkQueue({ ...queue });

      expect((await take(executor.reader(queue), 1))[0]?.message).toBe('kept');
    });

    it('gives a message back after the delay, to any reader, and counts', async () => {
      const { gateway, executor, otherExecutor } = world();
      const queue = await newQueue(gateway);
      await gateway.enqueue(queue.filter, 'again');
      const first = await executor.reader(queue).next({ expiresMs: 5_000 });
      const waiting = otherExecutor.reader(queue).next({ expiresMs: 5_000 });
      const returnedAt = performance.now();

      first?.retry(300);
      const second = await waiting;

      expect(second).toMatchObject({ message: 'again', deliveries: 2, subject: queue.filter });
      // The two clocks are not the same one; a few milliseconds less are not "at once".
      expect(performance.now() - returnedAt).toBeGreaterThan(250);
      second?.retry(0);
      expect(await executor.reader(queue).next({ expiresMs: 5_000 })).toMatchObject({ message: 'again', deliveries: 3 });
    });

    it('forgets what was acked or discarded, and only the first ending counts', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      const reader = executor.reader(queue);
      for (const text of ['acked', 'discarded', 'last']) {
        await gateway.enqueue(queue.filter, text);
      }

      const acked = await reader.next({ expiresMs: 5_000 });
      acked?.ack();
      acked?.retry(0);
      const discarded = await reader.next({ expiresMs: 5_000 });
      discarded?.discard('it makes\nno sense');
      discarded?.retry(0);
      const last = await reader.next({ expiresMs: 5_000 });
      last?.ack();

      expect([acked?.message, discarded?.message, last?.message]).toEqual(['acked', 'discarded', 'last']);
      expect(await reader.next({ expiresMs: 1_000 })).toBeNull();
    });

    it('ends a wait with null when its time is over, not before', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      const startedAt = performance.now();

      expect(await executor.reader(queue).next({ expiresMs: 1_000 })).toBeNull();

      const elapsedMs = performance.now() - startedAt;
      expect(elapsedMs).toBeGreaterThan(950);
      expect(elapsedMs).toBeLessThan(4_000);
    });

    it('ends a wait with null when told to, and takes nothing then', async () => {
      const { gateway, executor, otherExecutor } = world();
      const queue = await newQueue(gateway);
      const controller = new AbortController();
      const waiting = executor.reader(queue).next({ expiresMs: 30_000, signal: controller.signal });

      controller.abort();
      expect(await waiting).toBeNull();
      expect(await executor.reader(queue).next({ expiresMs: 30_000, signal: controller.signal })).toBeNull();

      await gateway.enqueue(queue.filter, 'for the other');
      expect(await otherExecutor.reader(queue).next({ expiresMs: 5_000 })).toMatchObject({ message: 'for the other' });
    });

    it('loses nothing that was under way when a wait was ended', async () => {
      const { gateway, executor, otherExecutor } = world();
      const queue = await newQueue(gateway);
      const reader = executor.reader(queue);
      const seen = new Set<unknown>();
      const numbers = Array.from({ length: 100 }, (_, number) => number);

      for (const number of numbers) {
        const controller = new AbortController();
        const waiting = reader.next({ expiresMs: 30_000, signal: controller.signal });
        const stored = gateway.enqueue(queue.filter, number);
        // Some are ended before the message comes, some when it is there, some between.
        for (let turn = 0; turn < number % 10; turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        controller.abort();
        const delivery = await waiting;
        await stored;
        delivery?.ack();
        seen.add(delivery?.message);
      }
      seen.delete(undefined);
      for (const delivery of await take(otherExecutor.reader(queue), numbers.length - seen.size)) {
        expect(seen.has(delivery.message)).toBe(false);
        seen.add(delivery.message);
      }

      expect(seen).toEqual(new Set(numbers));
    });

    it('says so when the queue does not exist', async () => {
      const { gateway, executor } = world();
      const missing = workQueues.steps(plugin, `missing-${randomUUID()}`);

      await expect(executor.reader(missing).next({ expiresMs: 30_000 })).rejects.toThrow(BusUnavailableError);
      await expect(gateway.enqueue(subjects.step('unknown_plugin', 'default'), {})).rejects.toThrow(BusUnavailableError);
    });

    it('delivers copies', async () => {
      const { gateway, executor } = world();
      const queue = await newQueue(gateway);
      const sent = { list: [1] };
      const stored = gateway.enqueue(queue.filter, sent);
      sent.list.push(2);
      await stored;

      const first = await executor.reader(queue).next({ expiresMs: 5_000 });
      expect(first?.message).toEqual({ list: [1] });
      Object.assign(first?.message ?? {}, { list: [3] });
      first?.retry(0);

      expect(await executor.reader(queue).next({ expiresMs: 5_000 })).toMatchObject({ message: { list: [1] } });
    });

    it(
      `empties a backlog of ${BACKLOG} as fast per message as a short one`,
      async () => {
        const { gateway, executor } = world();
        const short = await timeToEmpty(gateway, executor, BACKLOG / 10);
        const long = await timeToEmpty(gateway, executor, BACKLOG);

        // Linear is a factor of 10, quadratic would be 100. The constant is for a machine that hiccups during the short one.
        expect(long).toBeLessThan(short * 40 + 500);
      },
      BACKLOG_TIMEOUT_MS,
    );
  });
}

async function newQueue(gateway: MessageBus): Promise<WorkQueue> {
  const queue = workQueues.steps(plugin, `queue-${randomUUID()}`);
  await gateway.ensureWorkQueue(queue);
  return queue;
}

/** Takes and acks that many, one after the other. */
async function take(reader: WorkQueueReader, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  while (taken.length < count) {
    const delivery = await reader.next({ expiresMs: 5_000 });
    if (delivery === null) {
      throw new Error(`only ${taken.length} of ${count} messages came`);
    }
    delivery.ack();
    taken.push(delivery);
  }
  return taken;
}

/** Fills a queue, then measures how long 32 readers take for it, in milliseconds. */
async function timeToEmpty(gateway: MessageBus, executor: MessageBus, count: number): Promise<number> {
  const queue = await newQueue(gateway);
  for (let stored = 0; stored < count; stored += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => gateway.enqueue(queue.filter, stored + index)));
  }
  const startedAt = performance.now();
  const taken = await Promise.all(Array.from({ length: 32 }, (_, index) => take(executor.reader(queue), share(count, 32, index))));
  const elapsedMs = performance.now() - startedAt;
  const numbers = new Set(taken.flat().map(({ message }) => message));
  expect(numbers.size).toBe(count);
  return elapsedMs;
}

/** How many of `count` the reader of that index takes, when `readers` share them. */
function share(count: number, readers: number, index: number): number {
  return Math.floor(count / readers) + (index < count % readers ? 1 : 0);
}
