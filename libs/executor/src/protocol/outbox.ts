import { messageOf } from '@dynflow/kernel';
import { subjects, type AppliedV1, type OutcomeV1, type OutputChunkV1, type ReportV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';
import { TurnEnd } from '../turn.js';
import type { HeldStep, PendingReport } from './held-step.js';
import type { HeldSteps } from './held-steps.js';

/**
 * Brings reports to the owners of their steps and keeps each until it is applied.
 *
 * R1: reports of a claim are numbered from 1 and reach the queue in order. R2: a report is forgotten only when the owner says so.
 * R3: reports to one shard that are made in the same turn of the event loop go in one message.
 */
export class Outbox {
  readonly #dirty = new Set<HeldStep>();
  readonly #flush = new TurnEnd(() => this.flush());

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly held: HeldSteps,
    /** Called once for each step, when the bus has taken its outcome. */
    private readonly onOutcomeTaken: (step: HeldStep) => void,
  ) {}

  /** Puts a report on its way. `chunkBytes` is what its output chunks weigh. */
  add(step: HeldStep, outcome: OutcomeV1, chunks: OutputChunkV1[] = [], chunkBytes = 0): void {
    let outcomeBytes = sizeOf(outcome);
    if (outcomeBytes > this.environment.tuning.messageBytes) {
      if (outcome.kind === 'checkpoint') {
        this.environment.log.error('an update is larger than a message may be; it is dropped', { ...addressOf(step), bytes: outcomeBytes });
        return;
      }
      outcome = tooLarge(outcomeBytes);
      outcomeBytes = sizeOf(outcome);
    }
    const last = step.reports.at(-1);
    const isUnsent = last?.enqueuedAtMs === undefined && !step.isEnqueueing;
    if (outcome.kind === 'checkpoint' && outcome.planEvents === undefined && last?.outcome.kind === 'checkpoint' && isUnsent) {
      // Not sent yet: one report says it all, so a run that updates in a loop does not flood the owner.
      last.outcome = {
        ...last.outcome,
        ...outcome,
        ...(last.outcome.output === undefined ? {} : { output: { ...last.outcome.output, ...outcome.output } }),
      };
      return;
    }
    step.lastReport += 1;
    step.reports.push({ number: step.lastReport, outcome, chunks, bytes: chunkBytes + outcomeBytes, enqueuedAtMs: undefined });
    this.#dirty.add(step);
    this.#flush.schedule();
  }

  /** The owner has committed these reports, or does not want them. */
  applied(message: AppliedV1): void {
    for (const { claim, number, result } of message.reports) {
      const step = this.held.get(claim);
      const index = step?.reports.findIndex((report) => report.number === number) ?? -1;
      if (step === undefined || index < 0) {
        continue;
      }
      const [report] = step.reports.splice(index, 1);
      if (result === 'stale') {
        this.environment.log.warn('the gateway no longer waits for this report', {
          ...addressOf(step),
          number,
          kind: report?.outcome.kind ?? '',
        });
      }
      if (report !== undefined && report.outcome.kind !== 'checkpoint') {
        this.held.remove(step);
      }
    }
  }

  /** Sends again what was taken by the bus before `beforeMs` and is not applied, and what the bus did not take. */
  resend(beforeMs: number): void {
    for (const step of this.held) {
      if (step.reports.length === 0 || step.isEnqueueing) {
        continue;
      }
      if (step.reports.some((report) => report.enqueuedAtMs === undefined || report.enqueuedAtMs <= beforeMs)) {
        for (const report of step.reports) {
          report.enqueuedAtMs = undefined;
        }
        this.#dirty.add(step);
      }
    }
    this.flush();
  }

  flush(): void {
    if (this.#dirty.size === 0) {
      return;
    }
    const byShard = new Map<number, HeldStep[]>();
    for (const step of this.#dirty) {
      if (!step.isEnqueueing) {
        const steps = byShard.get(step.shard);
        if (steps === undefined) {
          byShard.set(step.shard, [step]);
        } else {
          steps.push(step);
        }
      }
    }
    this.#dirty.clear();
    for (const [shard, steps] of byShard) {
      for (const batch of this.#batches(steps)) {
        void this.#send(shard, batch);
      }
    }
  }

  /** Cut so that each message stays below the limit; all waiting reports of one step are in the same batch, to keep their order. */
  *#batches(steps: HeldStep[]): Generator<Batch> {
    let batch: Batch = [];
    let bytes = 0;
    for (const step of steps) {
      for (const report of step.reports) {
        if (report.enqueuedAtMs !== undefined) {
          continue;
        }
        if (bytes > 0 && bytes + report.bytes > this.environment.tuning.messageBytes) {
          yield batch;
          if (batch.some((entry) => entry.step === step)) {
            // The rest of this step follows when the bus has its first part.
            this.#dirty.add(step);
            batch = [];
            bytes = 0;
            break;
          }
          batch = [];
          bytes = 0;
        }
        batch.push({ step, report });
        bytes += report.bytes;
      }
    }
    if (batch.length > 0) {
      yield batch;
    }
  }

  async #send(shard: number, batch: Batch): Promise<void> {
    const { bus, plugin, executorId, startId, clock, log } = this.environment;
    const message: ReportV1 = {
      type: 'report',
      version: 1,
      executor: executorId,
      startId,
      reports: batch.map(({ step, report }) => ({
        claim: step.claim,
        plan: step.token.plan,
        step: step.token.step,
        attempt: step.token.attempt,
        number: report.number,
        outcome: report.outcome,
        chunks: report.chunks,
      })),
    };
    for (const { step } of batch) {
      step.isEnqueueing = true;
    }
    let isTaken = true;
    try {
      await bus.enqueue(subjects.inbox(shard, plugin), message);
    } catch (error) {
      isTaken = false;
      log.warn('reports could not be sent now; they are kept and sent again', { reports: batch.length, reason: messageOf(error) });
    }
    const nowMs = clock.now();
    for (const { step, report } of batch) {
      step.isEnqueueing = false;
      if (isTaken) {
        report.enqueuedAtMs = nowMs;
        if (report.outcome.kind !== 'checkpoint') {
          this.onOutcomeTaken(step);
        } else if (step.reports.some((other) => other.enqueuedAtMs === undefined)) {
          this.#dirty.add(step);
          this.#flush.schedule();
        }
      }
    }
  }
}

type Batch = { step: HeldStep; report: PendingReport }[];

function addressOf(step: HeldStep): { plan: string; step: number; claim: string } {
  return { plan: step.token.plan, step: step.token.step, claim: step.claim };
}

function tooLarge(bytes: number): OutcomeV1 {
  const message = `the outcome has ${bytes} bytes, which is more than can be reported; long results belong into written output`;
  return { kind: 'failed', error: { errorClass: 'OutputTooLargeError', code: 'DYN_OUTPUT_TOO_LARGE', message, kind: 'final' } };
}

function sizeOf(outcome: OutcomeV1): number {
  return Buffer.byteLength(JSON.stringify(outcome)) + 200;
}
