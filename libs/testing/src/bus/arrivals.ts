import type { MessageBus } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { randomUUID } from 'node:crypto';

/** What arrived, in order, and a way to wait for it without sleeping. */
export class Arrivals<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<() => void>();

  readonly add = (item: T): void => {
    this.all.push(item);
    for (const check of [...this.#waiting]) {
      check();
    }
  };

  /** Resolved with everything that came so far, once that satisfies `isEnough`. */
  async until(isEnough: (all: readonly T[]) => boolean): Promise<readonly T[]> {
    if (!isEnough(this.all)) {
      await new Promise<void>((resolve) => {
        const check = (): void => {
          if (isEnough(this.all)) {
            this.#waiting.delete(check);
            resolve();
          }
        };
        this.#waiting.add(check);
      });
    }
    return [...this.all];
  }

  async count(count: number): Promise<readonly T[]> {
    return this.until((all) => all.length >= count);
  }
}

/** Resolved when everything that the bus did before, its subscriptions above all, has reached the other side. */
export async function settled(bus: MessageBus, user: 'gateway' | 'executor', plugin: string): Promise<void> {
  const nobody = `nobody-${randomUUID()}`;
  const subject = user === 'gateway' ? subjects.executor(plugin, nobody) : subjects.heartbeat(plugin, nobody);
  // Nobody listens there, and who says so has read all that came before.
  await bus.request(subject, {}, { timeoutMs: 10_000 }).then(
    () => {
      throw new Error(`someone listens on ${subject}`);
    },
    (error: unknown) => {
      if (!(error instanceof Error) || error.name !== 'NoResponderError') {
        throw error;
      }
    },
  );
}
