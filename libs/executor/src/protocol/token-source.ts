import { messageOf } from '@dynflow/kernel';
import { workQueues, type Delivery, type WorkQueueReader } from '@dynflow/bus';
import type { ExecutorEnvironment } from '../executor-environment.js';

/** One queue that tokens are taken from. */
interface Source {
  readonly name: string;
  readonly reader: WorkQueueReader;
  readonly calls: Set<AbortController>;
  /** Of calls that ended by themselves, for the next ones: to make one costs more than all else in a call. */
  readonly spare: AbortController[];
  /** The queue was not there; nothing is asked until a while has passed. */
  isAway: boolean;
  awayMs: number;
}

/**
 * Takes tokens while slots are free: one call for each free slot at each queue. All queues share the slots; a token for which the slot
 * has just gone to another queue is given back at once.
 */
export class TokenSource {
  readonly #sources: Source[];
  readonly #timers = new Set<() => void>();
  #free: number;
  #isTaking = false;

  constructor(
    private readonly environment: ExecutorEnvironment,
    queues: Iterable<string>,
    /** Has a slot for the token; calls {@link release} when it is free again. */
    private readonly onToken: (delivery: Delivery) => void,
  ) {
    this.#free = environment.slots;
    this.#sources = [...queues].map((name) => ({
      name,
      reader: environment.bus.reader(workQueues.steps(environment.plugin, name)),
      calls: new Set(),
      spare: [],
      isAway: false,
      awayMs: environment.tuning.awayFirstMs,
    }));
  }

  get usedSlots(): number {
    return this.environment.slots - this.#free;
  }

  resume(): void {
    this.#isTaking = true;
    this.#balance();
  }

  /** Takes no more; what comes from a call that was under way is given back. */
  pause(): void {
    this.#isTaking = false;
    this.#balance();
    for (const cancel of this.#timers) {
      cancel();
    }
    this.#timers.clear();
    for (const source of this.#sources) {
      source.isAway = false;
    }
  }

  /** A slot is free again. */
  release(): void {
    this.#free += 1;
    this.#balance();
  }

  #balance(): void {
    for (const source of this.#sources) {
      const wanted = this.#isTaking && !source.isAway ? this.#free : 0;
      while (source.calls.size < wanted) {
        this.#call(source);
      }
      if (source.calls.size > wanted) {
        let surplus = source.calls.size - wanted;
        for (const call of [...source.calls]) {
          if (surplus-- <= 0) {
            break;
          }
          source.calls.delete(call);
          call.abort();
        }
      }
    }
  }

  #call(source: Source): void {
    const call = source.spare.pop() ?? new AbortController();
    source.calls.add(call);
    source.reader.next({ expiresMs: this.environment.tuning.tokenExpiresMs, signal: call.signal }).then(
      (delivery) => {
        if (source.calls.delete(call)) {
          source.spare.push(call);
        }
        source.awayMs = this.environment.tuning.awayFirstMs;
        if (delivery === null) {
          this.#balance();
        } else if (this.#free === 0 || !this.#isTaking) {
          delivery.retry(0);
        } else {
          this.#free -= 1;
          this.#balance();
          this.onToken(delivery);
        }
      },
      (error: unknown) => {
        source.calls.delete(call);
        this.#away(source, error);
      },
    );
  }

  #away(source: Source, error: unknown): void {
    if (source.isAway || !this.#isTaking) {
      return;
    }
    const { clock, log, tuning } = this.environment;
    log.debug('the queue is not there; it is asked again', { queue: source.name, reason: messageOf(error), inMs: source.awayMs });
    source.isAway = true;
    const cancel = clock.at(clock.now() + source.awayMs, () => {
      this.#timers.delete(cancel);
      source.isAway = false;
      this.#balance();
    });
    this.#timers.add(cancel);
    source.awayMs = Math.min(source.awayMs * 2, tuning.awayMaxMs);
  }
}
