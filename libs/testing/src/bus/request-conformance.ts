import { NoResponderError, RemoteError, RequestTimeoutError } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { describe, expect, it } from 'vitest';
import { Arrivals, settled } from './arrivals.js';
import { CONFORMANCE_PLUGIN as plugin, type BusWorld } from './bus-world.js';

const timeoutMs = 10_000;

export function describeRequests(world: () => BusWorld): void {
  describe('request and answer', () => {
    it('answers an executor that asks the gateway', async () => {
      const { gateway, executor } = world();
      gateway.subscribe(subjects.claim('*', plugin), (message, meta) => ({ got: message, on: meta.subject }));
      await settled(gateway, 'gateway', plugin);

      const answer = await executor.request(subjects.claim(3, plugin), { steps: [1, 2] }, { timeoutMs });

      expect(answer).toEqual({ got: { steps: [1, 2] }, on: subjects.claim(3, plugin) });
    });

    it('answers a gateway that asks an executor', async () => {
      const { gateway, executor } = world();
      executor.subscribe(subjects.plan(plugin), async (message) => Promise.resolve([message]), { queue: 'executors' });
      await settled(executor, 'executor', plugin);

      expect(await gateway.request(subjects.plan(plugin), 'tree', { timeoutMs })).toEqual(['tree']);
    });

    it('answers null for a handler that returns nothing', async () => {
      const { gateway, executor } = world();
      executor.subscribe(subjects.executor(plugin, 'quiet'), () => undefined);
      await settled(executor, 'executor', plugin);

      expect(await gateway.request(subjects.executor(plugin, 'quiet'), {}, { timeoutMs })).toBeNull();
    });

    it('gives each of many requests at once its own answer', async () => {
      const { gateway, executor } = world();
      const waiting: (() => void)[] = [];
      // All are answered only when all have come, the last first.
      gateway.subscribe(subjects.store(plugin), async (message) => {
        await new Promise<void>((resolve) => {
          waiting.unshift(resolve);
          if (waiting.length === 200) {
            waiting.forEach((answer) => answer());
          }
        });
        return { answerTo: message };
      });
      await settled(gateway, 'gateway', plugin);
      const numbers = Array.from({ length: 200 }, (_, index) => index);

      const answers = await Promise.all(numbers.map((number) => executor.request(subjects.store(plugin), number, { timeoutMs })));

      expect(answers).toEqual(numbers.map((number) => ({ answerTo: number })));
    });

    it('tells the asker that the handler threw, with its message alone', async () => {
      const { gateway, executor } = world();
      gateway.subscribe(subjects.store(plugin), (message) => {
        throw new Error(`no document ${String(message)}`, { cause: new Error('secret') });
      });
      gateway.subscribe(subjects.claim(1, plugin), async () => Promise.reject(new Error('not ours')));
      await settled(gateway, 'gateway', plugin);

      const thrown: unknown = await executor.request(subjects.store(plugin), 'x', { timeoutMs }).catch((error: unknown) => error);
      const rejected: unknown = await executor.request(subjects.claim(1, plugin), 'x', { timeoutMs }).catch((error: unknown) => error);

      expect(thrown).toBeInstanceOf(RemoteError);
      expect(thrown).toMatchObject({ code: 'DYN_BUS_REMOTE', message: 'no document x', context: { subject: subjects.store(plugin) } });
      expect((thrown as Error).cause).toBeUndefined();
      expect(rejected).toMatchObject({ code: 'DYN_BUS_REMOTE', message: 'not ours' });
    });

    it('says at once that nobody is there', async () => {
      const { gateway } = world();
      const startedAt = performance.now();

      const failure: unknown = await gateway.request(subjects.plan(plugin), {}, { timeoutMs: 60_000 }).catch((error: unknown) => error);

      expect(failure).toBeInstanceOf(NoResponderError);
      expect(failure).toMatchObject({ code: 'DYN_BUS_NO_RESPONDER', retryable: true, context: { subject: subjects.plan(plugin) } });
      expect(performance.now() - startedAt).toBeLessThan(3_000);
    });

    it('stops waiting after the time given', async () => {
      const { gateway, executor } = world();
      const subject = subjects.executor(plugin, 'slow');
      let release: () => void = () => undefined;
      executor.subscribe(subject, async () => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return 'too late';
      });
      await settled(executor, 'executor', plugin);

      const failure: unknown = await gateway.request(subject, {}, { timeoutMs: 50 }).catch((error: unknown) => error);
      release();

      expect(failure).toBeInstanceOf(RequestTimeoutError);
      expect(failure).toMatchObject({ code: 'DYN_BUS_TIMEOUT', retryable: true, context: { subject, timeoutMs: 50 } });
    });

    it.each([3 * 1024 * 1024, 512 * 1024 - 2, 512 * 1024 - 1, 1024 * 1024])(
      'carries an answer of %i bytes whole, both ways',
      async (bytes) => {
        const { gateway, executor } = world();
        // Three bytes a sign, so that parts end within one; two quotes make the rest.
        const text = '漢'.repeat(Math.floor((bytes - 2) / 3)) + 'x'.repeat((bytes - 2) % 3);
        gateway.subscribe(subjects.claim(1, plugin), () => text);
        executor.subscribe(subjects.plan(plugin), () => text);
        await settled(gateway, 'gateway', plugin);
        await settled(executor, 'executor', plugin);

        const answers = await Promise.all([
          executor.request(subjects.claim(1, plugin), {}, { timeoutMs }),
          gateway.request(subjects.plan(plugin), {}, { timeoutMs }),
        ]);

        // Not toEqual: a difference between texts of this size would be printed.
        expect(answers.map((answer) => answer === text)).toEqual([true, true]);
      },
    );

    it('hands over copies in both directions', async () => {
      const { gateway, executor } = world();
      const kept: { list: number[] }[] = [];
      const question = { list: [1] };
      gateway.subscribe(subjects.store(plugin), (message) => {
        kept.push(message as { list: number[] });
        return message;
      });
      await settled(gateway, 'gateway', plugin);

      const pending = executor.request(subjects.store(plugin), question, { timeoutMs });
      question.list.push(2);
      const answer = (await pending) as { list: number[] };
      answer.list.push(3);

      expect(kept).toEqual([{ list: [1] }]);
      expect(answer).toEqual({ list: [1, 3] });
    });

    it('asks one of a queue group', async () => {
      const { gateway, executor, otherExecutor } = world();
      const asked = new Arrivals<string>();
      const answerAs = (name: string) => (): string => {
        asked.add(name);
        return name;
      };
      executor.subscribe(subjects.plan(plugin), answerAs('one'), { queue: 'executors' });
      otherExecutor.subscribe(subjects.plan(plugin), answerAs('other'), { queue: 'executors' });
      await settled(executor, 'executor', plugin);
      await settled(otherExecutor, 'executor', plugin);

      const requests = Array.from({ length: 100 }, () => gateway.request(subjects.plan(plugin), {}, { timeoutMs }));
      const answers = await Promise.all(requests);

      expect([...asked.all].sort()).toEqual([...(answers as string[])].sort());
      expect(new Set(answers)).toEqual(new Set(['one', 'other']));
    });
  });
}
