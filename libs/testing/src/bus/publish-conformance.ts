import { subjects } from '@dynflow/contracts';
import { describe, expect, it } from 'vitest';
import { Arrivals, settled } from './arrivals.js';
import { CONFORMANCE_PLUGIN as plugin, type BusWorld } from './bus-world.js';

interface Arrival {
  readonly subject: string;
  readonly message: unknown;
}

export function describePublishing(world: () => BusWorld): void {
  describe('publish and subscribe', () => {
    it('reaches every subscriber, with its subject', async () => {
      const { gateway, executor } = world();
      const first = new Arrivals<Arrival>();
      const second = new Arrivals<Arrival>();
      const subject = subjects.heartbeat(plugin, 'one');
      gateway.subscribe(subject, (message, meta) => first.add({ message, subject: meta.subject }));
      gateway.subscribe(subject, (message, meta) => second.add({ message, subject: meta.subject }));
      await settled(gateway, 'gateway', plugin);

      executor.publish(subject, { text: 'ü – 漢', list: [1, null, { deep: true }] });

      const expected = [{ subject, message: { text: 'ü – 漢', list: [1, null, { deep: true }] } }];
      expect(await first.count(1)).toEqual(expected);
      expect(await second.count(1)).toEqual(expected);
    });

    it('keeps the order of one publisher', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<unknown>();
      gateway.subscribe(subjects.output('*', plugin), arrivals.add);
      await settled(gateway, 'gateway', plugin);
      const numbers = Array.from({ length: 500 }, (_, index) => index);

      for (const number of numbers) {
        executor.publish(subjects.output(number % 3, plugin), number);
      }

      expect(await arrivals.count(500)).toEqual(numbers);
    });

    it('carries every JSON value, null and undefined as null', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<unknown>();
      const subject = subjects.heartbeat(plugin, 'values');
      gateway.subscribe(subject, arrivals.add);
      await settled(gateway, 'gateway', plugin);

      for (const value of [null, undefined, false, 0, '', [], { a: undefined, b: 1 }]) {
        executor.publish(subject, value);
      }

      expect(await arrivals.count(7)).toEqual([null, null, false, 0, '', [], { b: 1 }]);
    });

    it('says nothing when nobody listens', () => {
      const { executor } = world();
      expect(() => executor.publish(subjects.heartbeat(plugin, 'unheard'), {})).not.toThrow();
    });

    it('takes * for one token', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<string>();
      gateway.subscribe(subjects.claim('*', plugin), (_, meta) => arrivals.add(meta.subject));
      await settled(gateway, 'gateway', plugin);

      executor.publish(subjects.output(1, plugin), {});
      executor.publish(subjects.claim(1, plugin), {});
      executor.publish(subjects.store(plugin), {});
      executor.publish(subjects.claim(2, plugin), {});

      expect(await arrivals.count(2)).toEqual([subjects.claim(1, plugin), subjects.claim(2, plugin)]);
    });

    it('goes on after a handler that throws', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<unknown>();
      const subject = subjects.heartbeat(plugin, 'faulty');
      gateway.subscribe(subject, (message) => {
        arrivals.add(message);
        throw new Error('this handler always throws');
      });
      await settled(gateway, 'gateway', plugin);

      executor.publish(subject, 1);
      executor.publish(subject, 2);

      expect(await arrivals.count(2)).toEqual([1, 2]);
    });

    it('stops at unsubscribe, for that subscription alone', async () => {
      const { gateway, executor } = world();
      const ended = new Arrivals<unknown>();
      const staying = new Arrivals<unknown>();
      const subject = subjects.heartbeat(plugin, 'leaving');
      const subscription = gateway.subscribe(subject, ended.add);
      gateway.subscribe(subject, staying.add);
      await settled(gateway, 'gateway', plugin);
      executor.publish(subject, 1);
      await ended.count(1);

      subscription.unsubscribe();
      subscription.unsubscribe();
      await settled(gateway, 'gateway', plugin);
      executor.publish(subject, 2);

      expect(await staying.count(2)).toEqual([1, 2]);
      expect(ended.all).toEqual([1]);
    });

    it('gives each message to one of a queue group, and to everyone outside it', async () => {
      const { gateway, executor } = world();
      const members = [new Arrivals<number>(), new Arrivals<number>()];
      const everyone = new Arrivals<number>();
      const both = new Arrivals<number>();
      const subject = subjects.store(plugin);
      for (const member of members) {
        gateway.subscribe(
          subject,
          (message) => {
            member.add(message as number);
            both.add(message as number);
          },
          { queue: 'gateways' },
        );
      }
      gateway.subscribe(subject, (message) => everyone.add(message as number));
      await settled(gateway, 'gateway', plugin);
      const numbers = Array.from({ length: 200 }, (_, index) => index);

      numbers.forEach((number) => executor.publish(subject, number));

      expect(await everyone.count(200)).toEqual(numbers);
      expect([...(await both.count(200))].sort((a, b) => a - b)).toEqual(numbers);
      expect(members.every((member) => member.all.length > 0)).toBe(true);
    });

    it('delivers a copy: who changes it changes it for nobody else', async () => {
      const { gateway, executor } = world();
      const arrivals = new Arrivals<unknown>();
      const subject = subjects.heartbeat(plugin, 'copies');
      const sent = { slots: [1] };
      const change = (message: unknown): void => {
        (message as typeof sent).slots.push(3);
        arrivals.add(message);
      };
      gateway.subscribe(subject, change);
      gateway.subscribe(subject, change);
      await settled(gateway, 'gateway', plugin);

      executor.publish(subject, sent);
      sent.slots.push(2);

      expect(await arrivals.count(2)).toEqual([{ slots: [1, 3] }, { slots: [1, 3] }]);
      expect(sent).toEqual({ slots: [1, 2] });
    });
  });
}
