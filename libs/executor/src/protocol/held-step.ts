import type { OutcomeV1, OutputChunkV1, StepEventV1, StepTokenV1 } from '@dynflow/contracts';
import type { StepOutput } from './step-output.js';

/** A report that its owner has not applied yet. */
export interface PendingReport {
  readonly number: number;
  outcome: OutcomeV1;
  readonly chunks: OutputChunkV1[];
  readonly bytes: number;
  /** When the bus took it; undefined: not yet. */
  enqueuedAtMs: number | undefined;
}

/** Who hears the events of a step. */
export interface StepEventReceiver {
  receive(event: StepEventV1['event']): void;
  drain(): void;
}

/**
 * One claim of this executor's, from the moment it is asked for until its outcome is applied.
 *
 * `claiming`: asked for, no answer yet. `running`: granted, its code runs. `ended`: the outcome is on its way to the owner.
 */
export class HeldStep {
  phase: 'claiming' | 'running' | 'ended' = 'claiming';
  /** Known from its grant on. */
  action = '';
  output: StepOutput | undefined;
  /** Unapplied, oldest first. */
  readonly reports: PendingReport[] = [];
  lastReport = 0;
  /** True while the bus is taking reports of this step: later ones wait, so that the owner gets them in order. */
  isEnqueueing = false;
  #receiver: StepEventReceiver | undefined;
  /** Events that overtook the answer to the claim. */
  #early: StepEventV1['event'][] = [];

  constructor(
    readonly claim: string,
    readonly token: StepTokenV1,
  ) {}

  get shard(): number {
    return this.token.shard;
  }

  receive(event: StepEventV1['event']): void {
    if (this.#receiver === undefined) {
      this.#early.push(event);
    } else {
      this.#receiver.receive(event);
    }
  }

  /** Its executor is to stop. */
  drain(): void {
    this.#receiver?.drain();
  }

  /** From now on events go there, the early ones first. */
  deliverTo(receiver: StepEventReceiver): void {
    this.#receiver = receiver;
    const early = this.#early;
    this.#early = [];
    for (const event of early) {
      receiver.receive(event);
    }
  }
}
