import { messageOf } from '@dynflow/kernel';
import {
  BusUnavailableError,
  NoResponderError,
  RemoteError,
  RequestTimeoutError,
  type BusSubscription,
  type Delivery,
  type MessageBus,
  type MessageHandler,
  type WorkQueue,
  type WorkQueueReader,
} from './message-bus.js';
import { subjectMatches } from './subject-match.js';

interface Listener {
  readonly pattern: string;
  readonly handler: MessageHandler;
  readonly queue: string | undefined;
}

interface Waiting {
  take(item: QueueItem): void;
  giveUp(): void;
}

interface QueueItem {
  readonly subject: string;
  readonly body: string;
  deliveries: number;
}

/**
 * The bus of the fat shape: gateway and executors in one process. It keeps NATS's rules (copies, at-least-once queues, no answer from
 * nobody), so that nothing else needs to know which bus it has. Work queues live in memory: with this bus the process that holds
 * them holds the engine too, and the engine re-publishes what nobody claimed.
 */
export class InProcessBus implements MessageBus {
  readonly #listeners: Listener[] = [];
  /** Subscriptions with neither wildcard nor queue group, which is nearly all traffic, are found without a scan. */
  readonly #exact = new Map<string, Listener[]>();
  readonly #queues = new Map<string, WorkQueueState>();
  #closed = false;
  #roundRobin = 0;

  get isConnected(): boolean {
    return !this.#closed;
  }

  publish(subject: string, message: unknown): void {
    this.#assertOpen();
    const listeners = this.#receivers(subject);
    if (listeners.length === 0) {
      return;
    }
    const body = encode(message);
    for (const listener of listeners) {
      queueMicrotask(() => {
        // A publisher never learns of a listener's failure, as over a network; the listener reports its own.
        void Promise.resolve()
          .then(() => listener.handler(JSON.parse(body), { subject }))
          .catch(() => undefined);
      });
    }
  }

  async request(subject: string, message: unknown, options: { timeoutMs: number }): Promise<unknown> {
    this.#assertOpen();
    const listener = this.#receivers(subject)[0];
    if (listener === undefined) {
      throw new NoResponderError(subject);
    }
    const body = encode(message);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new RequestTimeoutError(subject, options.timeoutMs)), options.timeoutMs);
    });
    const answer = Promise.resolve()
      .then(() => listener.handler(JSON.parse(body), { subject }))
      .then(
        (value) => JSON.parse(encode(value)) as unknown,
        (error: unknown) => {
          throw new RemoteError(subject, messageOf(error));
        },
      );
    try {
      return await Promise.race([answer, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  subscribe(subject: string, handler: MessageHandler, options: { queue?: string } = {}): BusSubscription {
    this.#assertOpen();
    const listener: Listener = { pattern: subject, handler, queue: options.queue };
    const isExact = !subject.includes('*') && !subject.includes('>');
    const list = isExact ? (this.#exact.get(subject) ?? []) : this.#listeners;
    list.push(listener);
    if (isExact) {
      this.#exact.set(subject, list);
    }
    return {
      unsubscribe: () => {
        const index = list.indexOf(listener);
        if (index >= 0) {
          list.splice(index, 1);
        }
        // Only if the list is still the registered one: a subject that was left and taken again has another.
        if (isExact && list.length === 0 && this.#exact.get(subject) === list) {
          this.#exact.delete(subject);
        }
      },
    };
  }

  async ensureWorkQueue(queue: WorkQueue): Promise<void> {
    this.#assertOpen();
    if (!this.#queues.has(queue.filter)) {
      this.#queues.set(queue.filter, new WorkQueueState());
    }
    return Promise.resolve();
  }

  async enqueue(subject: string, message: unknown): Promise<void> {
    this.#assertOpen();
    const queue = this.#queueOf(subject);
    if (queue === undefined) {
      throw new BusUnavailableError(`no work queue takes ${subject}`);
    }
    queue.push({ subject, body: encode(message), deliveries: 0 });
    return Promise.resolve();
  }

  reader(queue: WorkQueue): WorkQueueReader {
    return {
      next: async (options) => {
        if (this.#closed) {
          throw new BusUnavailableError('the bus is closed');
        }
        const state = this.#queues.get(queue.filter);
        if (state === undefined) {
          throw new BusUnavailableError(`the work queue ${queue.filter} does not exist`);
        }
        return state.next(options);
      },
    };
  }

  onReconnect(): void {
    // Nothing to reconnect to: this bus is there as long as the process.
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const queue of this.#queues.values()) {
      queue.close();
    }
    return Promise.resolve();
  }

  #queueOf(subject: string): WorkQueueState | undefined {
    const exact = this.#queues.get(subject);
    if (exact !== undefined) {
      return exact;
    }
    for (const [filter, queue] of this.#queues) {
      if (subjectMatches(filter, subject)) {
        return queue;
      }
    }
    return undefined;
  }

  /** One listener of each queue group, and every listener without one. */
  #receivers(subject: string): Listener[] {
    const matching = [...(this.#exact.get(subject) ?? [])];
    for (const listener of this.#listeners) {
      if (subjectMatches(listener.pattern, subject)) {
        matching.push(listener);
      }
    }
    const groups = new Map<string, Listener[]>();
    const receivers: Listener[] = [];
    for (const listener of matching) {
      if (listener.queue === undefined) {
        receivers.push(listener);
      } else {
        groups.set(listener.queue, [...(groups.get(listener.queue) ?? []), listener]);
      }
    }
    for (const members of groups.values()) {
      const chosen = members[this.#roundRobin++ % members.length];
      if (chosen !== undefined) {
        receivers.push(chosen);
      }
    }
    return receivers;
  }

  #assertOpen(): void {
    if (this.#closed) {
      throw new BusUnavailableError('the bus is closed');
    }
  }
}

/** One queue: first in, first out; what was taken and not settled belongs to its taker, who lives as long as this process. */
class WorkQueueState {
  #head = 0;
  #items: QueueItem[] = [];
  readonly #waiting = new Set<Waiting>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;

  push(item: QueueItem): void {
    const [waiting] = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting.delete(waiting);
      waiting.take(item);
      return;
    }
    this.#items.push(item);
  }

  async next(options: { expiresMs: number; signal?: AbortSignal }): Promise<Delivery | null> {
    if (options.signal?.aborted === true) {
      return null;
    }
    const item = this.#shift();
    if (item !== undefined) {
      return this.#deliver(item);
    }
    return new Promise((resolve) => {
      const settle = (delivery: Delivery | null): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', expire);
        this.#waiting.delete(waiting);
        resolve(delivery);
      };
      const expire = (): void => settle(null);
      const waiting: Waiting = { take: (taken) => settle(this.#deliver(taken)), giveUp: expire };
      const timer = setTimeout(expire, options.expiresMs);
      options.signal?.addEventListener('abort', expire, { once: true });
      this.#waiting.add(waiting);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#timers.clear();
    for (const waiting of [...this.#waiting]) {
      waiting.giveUp();
    }
  }

  /** Takes the first item without moving the others: a shift of a long array would make a backlog cost quadratic time. */
  #shift(): QueueItem | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) {
      return undefined;
    }
    this.#head += 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  #deliver(item: QueueItem): Delivery {
    item.deliveries += 1;
    let isSettled = false;
    const settle = (action: () => void) => () => {
      if (!isSettled) {
        isSettled = true;
        action();
      }
    };
    const nothing = (): void => undefined;
    return {
      subject: item.subject,
      message: JSON.parse(item.body) as unknown,
      deliveries: item.deliveries,
      ack: settle(nothing),
      discard: settle(nothing),
      retry: (delayMs) =>
        settle(() => {
          if (this.#isClosed) {
            return;
          }
          const timer = setTimeout(() => {
            this.#timers.delete(timer);
            this.push(item);
          }, delayMs);
          this.#timers.add(timer);
        })(),
    };
  }
}

/** What has no JSON of its own, `undefined` above all, travels as null, as it does in a list. */
function encode(message: unknown): string {
  return (JSON.stringify(message) as string | undefined) ?? 'null';
}
