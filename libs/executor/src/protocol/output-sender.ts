import { subjects, type OutputV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';
import { TurnEnd } from '../turn.js';
import type { HeldStep } from './held-step.js';

/**
 * Sends the steps' output: the first chunk at once, more after a moment or when there is enough of it, several steps of a shard in one
 * message. It keeps nothing: what gets lost is found unconfirmed and sent again.
 */
export class OutputSender {
  readonly #dirty = new Set<HeldStep>();
  readonly #flush = new TurnEnd(() => this.flush());
  #takeBackTimer: (() => void) | undefined;

  constructor(private readonly environment: ExecutorEnvironment) {}

  /** The step has output that was not sent. */
  wrote(step: HeldStep, nowMs: number): void {
    const { output } = step;
    if (output === undefined) {
      return;
    }
    this.#dirty.add(step);
    const { tuning, clock } = this.environment;
    if (output.unsentBytes >= tuning.outputFlushBytes || nowMs - output.movedAtMs >= tuning.outputFlushMs) {
      this.#flush.schedule();
    } else {
      this.#takeBackTimer ??= clock.at(nowMs + tuning.outputFlushMs, () => {
        this.#takeBackTimer = undefined;
        this.flush();
      });
    }
  }

  /** The step has output to be sent at once. */
  sendSoon(step: HeldStep): void {
    this.#dirty.add(step);
    this.#flush.schedule();
  }

  /** The step has ended: its outcome carries the rest. */
  forget(step: HeldStep): void {
    this.#dirty.delete(step);
  }

  /** Sends what is there, as far as the windows allow. */
  flush(): void {
    if (this.#dirty.size === 0) {
      return;
    }
    const nowMs = this.environment.clock.now();
    const byShard = new Map<number, OutputMessage>();
    for (const step of this.#dirty) {
      let message = byShard.get(step.shard);
      if (message === undefined) {
        message = new OutputMessage(this.environment, step.shard);
        byShard.set(step.shard, message);
      }
      for (const { chunk, bytes } of step.output?.takeUnsent(nowMs) ?? []) {
        message.add(step, chunk, bytes);
      }
    }
    this.#dirty.clear();
    for (const message of byShard.values()) {
      message.send();
    }
  }

  stop(): void {
    this.#takeBackTimer?.();
    this.#takeBackTimer = undefined;
  }
}

/** One message in the making, sent whenever it is full. */
class OutputMessage {
  #bytes = 0;
  #entries: OutputV1['output'] = [];
  #last: HeldStep | undefined;

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly shard: number,
  ) {}

  add(step: HeldStep, chunk: OutputV1['output'][number]['chunks'][number], bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.environment.tuning.messageBytes) {
      this.send();
    }
    const last = this.#entries.at(-1);
    if (last !== undefined && this.#last === step) {
      last.chunks.push(chunk);
    } else {
      const { plan, step: id, attempt } = step.token;
      this.#entries.push({ claim: step.claim, plan, step: id, attempt, chunks: [chunk] });
      this.#last = step;
      this.#bytes += 160;
    }
    this.#bytes += bytes;
  }

  send(): void {
    if (this.#entries.length === 0) {
      return;
    }
    const { bus, plugin, executorId, log } = this.environment;
    const message: OutputV1 = { type: 'output', version: 1, executor: executorId, output: this.#entries };
    this.#entries = [];
    this.#bytes = 0;
    this.#last = undefined;
    try {
      bus.publish(subjects.output(this.shard, plugin), message);
    } catch (error) {
      log.debug('output could not be sent now; it is sent again', { reason: String(error) });
    }
  }
}
