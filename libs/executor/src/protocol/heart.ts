import { messageOf } from '@dynflow/kernel';
import { HeartbeatAnswerV1, subjects, type HeartbeatV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';

/**
 * Sends heartbeats. This is the seam for a heart that beats in a thread of its own: such a one is handed the state with `update`,
 * because it cannot look into this thread while a plugin blocks it.
 */
export interface Heart {
  /** Beats from now on. `onAnnounceWanted` is called when a gateway says that it does not know this executor. */
  start(look: () => HeartbeatV1, onAnnounceWanted: () => void): void;
  /** The state has changed in a way that cannot wait. */
  beatNow(): void;
  stop(): void;
}

/** The heart of an executor that shares its gateway's process: it beats on the executor's own bus and thread. */
export class BusHeart implements Heart {
  #look: (() => HeartbeatV1) | undefined;
  #onAnnounceWanted: () => void = () => undefined;
  #cancelTimer: (() => void) | undefined;
  #isSilent = false;

  constructor(private readonly environment: ExecutorEnvironment) {}

  start(look: () => HeartbeatV1, onAnnounceWanted: () => void): void {
    this.#onAnnounceWanted = onAnnounceWanted;
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
      if (HeartbeatAnswerV1.parse(answer).announce && this.#look !== undefined) {
        this.#onAnnounceWanted();
      }
    } catch (error) {
      if (!this.#isSilent && this.#look !== undefined) {
        this.#isSilent = true;
        log.warn('no gateway answers the heartbeat', { reason: messageOf(error) });
      }
    }
  }
}
