import { Worker } from 'node:worker_threads';
import { messageOf } from '@dynflow/kernel';
import type { NatsBusOptions } from '@dynflow/bus';
import type { HeartbeatV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';
import type { HeartNews, HeartState, HeartThreadData } from './heart-messages.js';
import type { Heart, HeartListener } from './heart.js';

/** The thread has a connection and a timer; more memory than this is a fault. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };
const RESTART_MS = 1_000;

/**
 * A heart that beats in a thread of its own, over its own connection to NATS: an executor whose code blocks its thread for minutes is
 * alive all the same, and must not be taken for lost.
 */
export class ThreadHeart implements Heart {
  #worker: Worker | undefined;
  #look: (() => HeartbeatV1) | undefined;
  #listener: HeartListener | undefined;
  #isSilent = false;
  readonly #answeredMs = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly nats: Pick<NatsBusOptions, 'url' | 'credentials' | 'tls'>,
  ) {}

  get lastAnsweredMs(): number {
    return this.#answeredMs[0] ?? 0;
  }

  start(look: () => HeartbeatV1, listener: HeartListener): void {
    this.#listener = listener;
    if (this.#look === undefined) {
      this.#look = look;
      this.#startThread();
    }
  }

  beatNow(): void {
    this.#post(true);
  }

  changed(): void {
    this.#post(false);
  }

  stop(): void {
    this.#look = undefined;
    void this.#worker?.terminate();
  }

  #post(isUrgent: boolean): void {
    if (this.#look !== undefined) {
      const message: HeartState = { state: this.#look(), isUrgent };
      this.#worker?.postMessage(message);
    }
  }

  #startThread(): void {
    const { plugin, executorId, tuning, clock, log } = this.environment;
    const data: HeartThreadData = {
      nats: this.nats,
      plugin,
      executorId,
      heartbeatMs: tuning.heartbeatMs,
      requestTimeoutMs: tuning.requestTimeoutMs,
      lastAnsweredMs: this.#answeredMs,
    };
    // By the package's name: a thread runs built code, also where the rest is run from source.
    const entry = new URL(import.meta.resolve('@dynflow/executor/heart-worker'));
    const worker = new Worker(entry, { workerData: data, resourceLimits: THREAD_LIMITS, execArgv: [] });
    this.#worker = worker;
    worker.on('message', (news: HeartNews) => this.#onNews(news));
    worker.on('error', (error) => log.error('the thread that sends heartbeats failed; a new one is started', { reason: messageOf(error) }));
    worker.once('exit', () => {
      if (this.#look !== undefined) {
        clock.at(clock.now() + RESTART_MS, () => {
          if (this.#look !== undefined) {
            this.#startThread();
          }
        });
      }
    });
    worker.unref();
    this.#post(true);
  }

  #onNews(news: HeartNews): void {
    if (this.#look === undefined) {
      return;
    }
    if (news.kind === 'unanswered') {
      if (!this.#isSilent) {
        this.#isSilent = true;
        this.environment.log.warn('no gateway answers the heartbeat', { reason: news.reason });
      }
      return;
    }
    this.#isSilent = false;
    this.#listener?.onAnswered(news.lostAfterMs);
    if (news.announce) {
      this.#listener?.onAnnounceWanted();
    }
  }
}
