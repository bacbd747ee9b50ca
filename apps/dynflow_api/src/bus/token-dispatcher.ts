import type { MessageBus } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { FairQueue, type ReadyToken } from '@dynflow/engine';
import type { Clock } from '@dynflow/kernel';

interface QueueState {
  readonly backlog: FairQueue<ReadyToken>;
  /** What is in the backlog, by key: a token that has been taken out of here is dropped when its turn comes. */
  readonly waiting: Set<string>;
  /** Published and not claimed yet, with the time of publication. */
  readonly outstanding: Map<string, number>;
}

/** A token that nobody claimed for so long is published again: it may have been lost with the bus or with its taker. */
const REPUBLISH_AFTER_MS = 30_000;
/** A token that an executor could not serve is offered to others after so long, doubled each time up to the second number. */
const OFFER_AGAIN_MS = 250;
const OFFER_AGAIN_MAX_MS = 8_000;

/**
 * Publishes tokens of ready steps: about twice as many as there are slots, so that the order of the backlog is still open when a slot
 * frees up. What is beyond stays here, and in the database. Losing or doubling a token is harmless: the claim is the only gate.
 *
 * The order: by priority, then parents by turns, then age. Taking the next one costs the logarithm of what waits.
 */
export class TokenDispatcher {
  readonly #bus: MessageBus;
  readonly #clock: Clock;
  readonly #slotsOf: (plugin: string) => number;
  readonly #onFault: (message: string, error: unknown) => void;
  readonly #queues = new Map<string, QueueState>();
  /** Tokens that came to somebody who could not serve them: how often, and whether one is to be offered again. */
  readonly #misses = new Map<string, { count: number; isPending: boolean }>();

  constructor(options: {
    bus: MessageBus;
    clock: Clock;
    slotsOf: (plugin: string) => number;
    onFault: (message: string, error: unknown) => void;
  }) {
    this.#bus = options.bus;
    this.#clock = options.clock;
    this.#slotsOf = options.slotsOf;
    this.#onFault = options.onFault;
  }

  /** Takes over tokens of steps that became ready. */
  add(tokens: readonly ReadyToken[]): void {
    const touched = new Set<string>();
    for (const token of tokens) {
      const queue = `${token.plugin}.${token.queue}`;
      const state: QueueState = this.#queues.get(queue) ?? { backlog: new FairQueue(), waiting: new Set(), outstanding: new Map() };
      this.#queues.set(queue, state);
      const key = keyOf(token);
      if (!state.waiting.has(key)) {
        state.waiting.add(key);
        state.backlog.push(token, token);
        touched.add(queue);
      }
    }
    for (const key of touched) {
      this.#pump(key);
    }
  }

  /** A claim has come for the step, whatever the answer: its token is used up. */
  claimed(plugin: string, claims: readonly { plan: string; step: number; attempt: number }[]): void {
    for (const [key, state] of this.#queues) {
      if (!key.startsWith(`${plugin}.`)) {
        continue;
      }
      for (const claim of claims) {
        state.outstanding.delete(keyOfStep(claim));
      }
      this.#pump(key);
    }
  }

  /** Whoever took the token cannot serve its step: it is offered again soon, and less often each time. */
  offerAgain(token: ReadyToken): void {
    const key = keyOf(token);
    const miss = this.#misses.get(key) ?? { count: 0, isPending: false };
    this.#misses.set(key, miss);
    if (miss.isPending) {
      return;
    }
    const pauseMs = Math.min(OFFER_AGAIN_MAX_MS, OFFER_AGAIN_MS * 2 ** miss.count);
    miss.count += 1;
    miss.isPending = true;
    this.#clock.at(this.#clock.now() + pauseMs, () => {
      miss.isPending = false;
      // It has been forgotten if it is not ready any more.
      if (this.#misses.get(key) === miss) {
        this.add([token]);
      }
    });
  }

  /** Slots of the plugin have come or gone. */
  slotsChanged(plugin: string): void {
    for (const key of this.#queues.keys()) {
      if (key.startsWith(`${plugin}.`)) {
        this.#pump(key);
      }
    }
  }

  /** Publishes again what nobody claimed, as long as it is still ready. Call it now and then, and after each reconnect. */
  republish(ready: readonly ReadyToken[], options: { isBusNew: boolean }): void {
    const now = this.#clock.now();
    const stillReady = new Set(ready.map(keyOf));
    const known = new Set<string>();
    for (const state of this.#queues.values()) {
      for (const key of state.waiting) {
        if (stillReady.has(key)) {
          known.add(key);
        } else {
          state.waiting.delete(key);
        }
      }
      for (const [key, publishedMs] of state.outstanding) {
        const isOld = options.isBusNew || now - publishedMs > REPUBLISH_AFTER_MS;
        if (!stillReady.has(key) || isOld) {
          state.outstanding.delete(key);
        } else {
          known.add(key);
        }
      }
    }
    for (const key of this.#misses.keys()) {
      if (!stillReady.has(key)) {
        this.#misses.delete(key);
      }
    }
    this.add(ready.filter((token) => !known.has(keyOf(token)) && this.#misses.get(keyOf(token))?.isPending !== true));
    for (const key of this.#queues.keys()) {
      this.#pump(key);
    }
  }

  /** Tokens that wait here for a slot. */
  get backlog(): number {
    let size = 0;
    for (const state of this.#queues.values()) {
      size += state.waiting.size;
    }
    return size;
  }

  #pump(queue: string): void {
    const state = this.#queues.get(queue);
    const window = this.#slotsOf(queue.slice(0, queue.indexOf('.'))) * 2;
    while (state !== undefined && state.outstanding.size < window) {
      const next = state.backlog.pop();
      if (next === undefined) {
        return;
      }
      const key = keyOf(next);
      if (state.waiting.delete(key)) {
        state.outstanding.set(key, this.#clock.now());
        void this.#bus.enqueue(subjects.step(next.plugin, next.queue), next.token).catch((error: unknown) => {
          // It stays outstanding and is published again with the others that nobody claimed.
          this.#onFault('a token could not be published', error);
        });
      }
    }
  }
}

function keyOf({ token }: ReadyToken): string {
  return keyOfStep(token);
}

function keyOfStep({ plan, step, attempt }: { plan: string; step: number; attempt: number }): string {
  return `${plan}/${step}/${attempt}`;
}
