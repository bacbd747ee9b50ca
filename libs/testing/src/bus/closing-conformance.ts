import { BusUnavailableError, workQueues } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Arrivals, settled } from './arrivals.js';
import { CONFORMANCE_PLUGIN as plugin, type BusWorld } from './bus-world.js';

export function describeClosing(world: () => BusWorld): void {
  describe('close', () => {
    it('refuses every call afterwards, and a second close is nothing', async () => {
      const { gateway } = world();
      const queue = workQueues.steps(plugin, randomUUID());
      await gateway.ensureWorkQueue(queue);
      const reader = gateway.reader(queue);
      expect(gateway.isConnected).toBe(true);

      await gateway.close();
      await gateway.close();

      expect(gateway.isConnected).toBe(false);
      expect(() => gateway.publish(subjects.executor(plugin, 'x'), {})).toThrow(BusUnavailableError);
      expect(() => gateway.subscribe(subjects.store(plugin), () => undefined)).toThrow(BusUnavailableError);
      await expect(gateway.request(subjects.plan(plugin), {}, { timeoutMs: 1_000 })).rejects.toThrow(BusUnavailableError);
      await expect(gateway.ensureWorkQueue(queue)).rejects.toThrow(BusUnavailableError);
      await expect(gateway.enqueue(queue.filter, {})).rejects.toThrow(BusUnavailableError);
      await expect(reader.next({ expiresMs: 1_000 })).rejects.toThrow(BusUnavailableError);
    });

    it('delivers what was published before', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<unknown>();
      const subject = subjects.heartbeat(plugin, 'last-words');
      gateway.subscribe(subject, arrivals.add);
      await settled(gateway, 'gateway', plugin);

      for (let number = 0; number < 100; number += 1) {
        executor.publish(subject, number);
      }
      await executor.close();

      expect(await arrivals.count(100)).toHaveLength(100);
    });

    it('lets a handler finish that has begun, and sends its answer', async () => {
      const { gateway, executor } = world();
      const begun = new Arrivals<unknown>();
      let finish: (answer: string) => void = () => undefined;
      executor.subscribe(subjects.plan(plugin), async (message) => {
        const answer = new Promise<string>((resolve) => {
          finish = resolve;
        });
        begun.add(message);
        return answer;
      });
      await settled(executor, 'executor', plugin);
      const answer = gateway.request(subjects.plan(plugin), {}, { timeoutMs: 10_000 });
      await begun.count(1);

      const closed = executor.close();
      finish('done');

      expect(await answer).toBe('done');
      await closed;
    });

    it('ends a waiting reader with null, without waiting for its time', async () => {
      const { gateway, executor } = world();
      const queue = workQueues.steps(plugin, randomUUID());
      await gateway.ensureWorkQueue(queue);
      const waiting = executor.reader(queue).next({ expiresMs: 30_000 });

      await executor.close();

      expect(await waiting).toBeNull();
    });
  });
}
