import type { StepTokenV1 } from '@dynflow/contracts';
import type { MessageBus } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import type { Clock } from '@dynflow/kernel';

export interface ReadyToken {
  readonly plugin: string;
  readonly queue: string;
  readonly token: StepTokenV1;
}

interface QueueState {
  backlog: ReadyToken[];
  head: number;
  /** Published and not claimed yet, with the time of publication. */
  readonly outstanding: Map<string, { token: ReadyToken; publishedMs: number }>;
}

/** A token that nobody claimed for so long is published again: it may have been lost with the bus or with its taker. */
const REPUBLISH_AFTER_MS = 30_000;

/**
 * Publishes tokens of ready steps: about twice as many as there are slots, so that the order of the backlog is still open when a slot
 * frees up. What is beyond stays here, and in the database. Losing or doubling a token is harmless: the claim is the only gate.
 */
export class TokenDispatcher {
  readonly #bus: MessageBus;
  readonly #clock: Clock;
  readonly #slotsOf: (plugin: string) => number;
  readonly #onFault: (message: string, error: unknown) => void;
  readonly #queues = new Map<string, QueueState>();

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
      const key = `${token.plugin}.${token.queue}`;
      const state: QueueState = this.#queues.get(key) ?? { backlog: [], head: 0, outstanding: new Map() };
      this.#queues.set(key, state);
      state.backlog.push(token);
      touched.add(key);
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
        state.outstanding.delete(`${claim.plan}/${claim.step}/${claim.attempt}`);
      }
      this.#pump(key);
    }
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
    const missing: ReadyToken[] = [];
    const stillReady = new Set(ready.map(keyOf));
    const known = new Set<string>();
    for (const state of this.#queues.values()) {
      for (const token of state.backlog.slice(state.head)) {
        known.add(keyOf(token));
      }
      for (const [key, { publishedMs }] of state.outstanding) {
        const isOld = options.isBusNew || now - publishedMs > REPUBLISH_AFTER_MS;
        if (!stillReady.has(key) || isOld) {
          state.outstanding.delete(key);
        } else {
          known.add(key);
        }
      }
    }
    for (const token of ready) {
      if (!known.has(keyOf(token))) {
        missing.push(token);
      }
    }
    this.add(missing);
    for (const key of this.#queues.keys()) {
      this.#pump(key);
    }
  }

  /** Tokens that wait here for a slot. */
  get backlog(): number {
    let size = 0;
    for (const state of this.#queues.values()) {
      size += state.backlog.length - state.head;
    }
    return size;
  }

  #pump(key: string): void {
    const state = this.#queues.get(key);
    const plugin = key.slice(0, key.indexOf('.'));
    const window = this.#slotsOf(plugin) * 2;
    while (state !== undefined && state.outstanding.size < window) {
      const next = state.backlog[state.head];
      if (next === undefined) {
        state.backlog = [];
        state.head = 0;
        return;
      }
      state.head += 1;
      if (state.head > 1_024 && state.head * 2 > state.backlog.length) {
        state.backlog = state.backlog.slice(state.head);
        state.head = 0;
      }
      state.outstanding.set(keyOf(next), { token: next, publishedMs: this.#clock.now() });
      void this.#bus.enqueue(subjects.step(next.plugin, next.queue), next.token).catch((error: unknown) => {
        // It stays outstanding and is published again with the others that nobody claimed.
        this.#onFault('a token could not be published', error);
      });
    }
  }
}

function keyOf({ token }: ReadyToken): string {
  return `${token.plan}/${token.step}/${token.attempt}`;
}
