import { messageOf } from '@dynflow/kernel';
import { HeartbeatAnswerV1, subjects, type HeartbeatV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';

/** Who is told what comes of heartbeats. */
export interface HeartListener {
  /** A gateway has answered; after `lostAfterMs` of silence it would give up what is held here. */
  onAnswered(lostAfterMs: number | undefined): void;
  /** A gateway says that it does not know this executor. */
  onAnnounceWanted(): void;
}

/** Sends heartbeats: on the executor's own thread, or on one that a plugin cannot block. */
export interface Heart {
  /** When a gateway answered last, known also while nobody had time to call the listener; undefined: the listener is told at once. */
  readonly lastAnsweredMs: number | undefined;
  /** Beats from now on, with what `look` gives. */
  start(look: () => HeartbeatV1, listener: HeartListener): void;
  /** The state has changed in a way that cannot wait. */
  beatNow(): void;
  /** The state has changed: the next beat has to know of it, even if this thread is blocked from now on. */
  changed(): void;
  stop(): void;
}

/** The heart of an executor that shares its gateway's process: it beats on the executor's own bus and thread. */
export class BusHeart implements Heart {
  #look: (() => HeartbeatV1) | undefined;
  #listener: HeartListener | undefined;
  #cancelTimer: (() => void) | undefined;
  #isSilent = false;
  readonly lastAnsweredMs = undefined;

  constructor(private readonly environment: ExecutorEnvironment) {}

  start(look: () => HeartbeatV1, listener: HeartListener): void {
    this.#listener = listener;
    if (this.#look === undefined) {
      this.#look = look;
      this.#next();
    }
  }

  beatNow(): void {
    if (this.#look !== undefined) {
      void this.#beat(this.#look());
    }
  }

  changed(): void {
    // Each beat looks by itself, and no beat comes while this thread is blocked.
  }

  stop(): void {
    this.#look = undefined;
    this.#cancelTimer?.();
  }

  #next(): void {
    const { clock, tuning } = this.environment;
    this.#cancelTimer = clock.at(clock.now() + tuning.heartbeatMs, () => {
      this.beatNow();
      this.#next();
    });
  }

  async #beat(heartbeat: HeartbeatV1): Promise<void> {
    const { bus, plugin, executorId, tuning, log } = this.environment;
    try {
      const answer = await bus.request(subjects.heartbeat(plugin, executorId), heartbeat, { timeoutMs: tuning.requestTimeoutMs });
      this.#isSilent = false;
      const { announce, lostAfterMs } = HeartbeatAnswerV1.parse(answer);
      if (this.#look !== undefined) {
        this.#listener?.onAnswered(lostAfterMs);
        if (announce) {
          this.#listener?.onAnnounceWanted();
        }
      }
    } catch (error) {
      if (!this.#isSilent && this.#look !== undefined) {
        this.#isSilent = true;
        log.warn('no gateway answers the heartbeat', { reason: messageOf(error) });
      }
    }
  }
}
