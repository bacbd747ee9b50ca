import { messageOf } from '@dynflow/kernel';
import {
  StepTokenV1,
  type ExecutorMessage,
  type GrantV1,
  type HeartbeatV1,
  type OutcomeV1,
  type OutputChunkV1,
  type StepEventV1,
} from '@dynflow/contracts';
import type { Delivery } from '@dynflow/bus';
import { failureOf, type DocumentStore, type InvocationOutcome } from '@dynflow/plugin';
import type { ExecutorEnvironment } from './executor-environment.js';
import { Claimer } from './protocol/claimer.js';
import type { Heart } from './protocol/heart.js';
import { HeldStep } from './protocol/held-step.js';
import { HeldSteps } from './protocol/held-steps.js';
import { Outbox } from './protocol/outbox.js';
import { OutputSender } from './protocol/output-sender.js';
import { TokenSource } from './protocol/token-source.js';
import { StepRun } from './run/step-run.js';

/** What the worker must know of the plugin. */
export interface WorkerPlugin {
  readonly queues: Iterable<string>;
  readonly hasSecrets: boolean;
  mayWrite(action: string, version: number): boolean;
  /** True if a run of it may go on, or be done again, when its owner has given it up. */
  mayRunTwice(action: string): boolean;
}

/** Runs the plugin's code for a granted step. */
export type InvokeStep = (grant: GrantV1, run: StepRun) => Promise<InvocationOutcome>;

/** How often it is looked for what nobody confirmed. One look for all steps is cheaper than a timer for each. */
const SWEEP_MS = 1_000;
/** Of the silence after which a gateway gives up, so much is waited for before what must not run twice is ended. */
const CUT_OFF_SHARE = 0.7;
/** Claims that got no answer are remembered, so that the same claim is asked again when the token comes back. */
const REMEMBERED_CLAIMS = 10_000;

/**
 * The way of every step through this executor: token, claim, run, outcome, applied.
 *
 * W1: a slot is taken from the token until the bus has the outcome. W2: a token is acknowledged only when its claim was answered.
 * W3: a step is held, and named in heartbeats, from the claim until its outcome is applied.
 */
export class StepWorker {
  readonly #held = new HeldSteps();
  readonly #tokens: TokenSource;
  readonly #claimer: Claimer;
  readonly #outbox: Outbox;
  readonly #sender: OutputSender;
  readonly #unanswered = new Map<string, string>();
  readonly #withSlot = new Set<HeldStep>();
  #cancelSweep: (() => void) | undefined;
  #isDraining = false;
  /** When a gateway was last known to know what is held here. */
  #lastHeardMs: number;
  #isCutOff = false;
  #cutOffMs: number;
  #heart: Pick<Heart, 'lastAnsweredMs'> | undefined;

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly plugin: WorkerPlugin,
    private readonly store: DocumentStore,
    private readonly invoke: InvokeStep,
  ) {
    this.#tokens = new TokenSource(environment, plugin.queues, (delivery) => this.#take(delivery));
    this.#claimer = new Claimer(environment, plugin.hasSecrets);
    this.#outbox = new Outbox(environment, this.#held, (step) => this.#releaseSlot(step));
    this.#sender = new OutputSender(environment);
    this.#lastHeardMs = environment.clock.now();
    this.#cutOffMs = environment.tuning.cutOffMs;
    this.#sweepLater();
  }

  resume(): void {
    if (!this.#isDraining) {
      this.#tokens.resume();
    }
  }

  pause(): void {
    this.#tokens.pause();
  }

  /** @throws Error for an event that comes too late: who sent it keeps it for the next invocation. */
  receive(message: ExecutorMessage): void {
    switch (message.type) {
      case 'applied':
        this.#outbox.applied(message);
        break;
      case 'output.stored':
        this.#onStored(message.output);
        break;
      case 'step.event':
        this.#receiveEvent(message);
        break;
    }
  }

  #receiveEvent({ claim, event }: StepEventV1): void {
    const step = this.#held.get(claim);
    if (step?.phase === 'ended' && event.kind === 'external') {
      throw new Error(`the run of claim ${claim} has ended; it cannot take events any more`);
    }
    step?.receive(event);
  }

  /** Everything that is not confirmed goes again: messages of an outage are gone. */
  resendAll(): void {
    this.#resend(Infinity);
  }

  heartbeat(): HeartbeatV1 {
    const { executorId, startId, slots } = this.environment;
    return {
      type: 'heartbeat',
      version: 1,
      executor: executorId,
      startId,
      draining: this.#isDraining,
      slots: { total: slots, used: this.#tokens.usedSlots },
      held: this.#held.list(),
    };
  }

  /** Where to look for the last answer of a gateway while this thread had no time to be told of it. */
  listenTo(heart: Pick<Heart, 'lastAnsweredMs'>): void {
    this.#heart = heart;
  }

  /** Calls back whenever a step comes or goes: heartbeats name what is held. */
  onHeldChange(callback: () => void): void {
    this.#held.onChange = callback;
  }

  /** A gateway has answered a heartbeat: it counts on what is held here. */
  heard(lostAfterMs?: number): void {
    // Also when the silence is noticed only now, because the whole process slept: the gateway has given up by now what was held here.
    this.#checkCutOff();
    this.#lastHeardMs = this.environment.clock.now();
    this.#isCutOff = false;
    this.#cutOffMs = Math.min(this.environment.tuning.cutOffMs, (lostAfterMs ?? Infinity) * CUT_OFF_SHARE);
  }

  /** Takes no more tokens; what runs is told, so that it can be handed on. */
  drain(): void {
    this.#isDraining = true;
    this.#tokens.pause();
    for (const step of this.#held) {
      step.drain();
    }
  }

  /** Resolved when every run has ended and the bus has its outcome. */
  async idle(): Promise<void> {
    return this.#held.until(() => this.#held.liveCount === 0 && this.#withSlot.size === 0);
  }

  /** Resolved when every outcome is applied. */
  async applied(): Promise<void> {
    return this.#held.until(() => this.#held.size === 0);
  }

  /** Tells every run to end by force. */
  cancelAll(): void {
    for (const step of this.#held) {
      step.receive({ kind: 'cancel', force: true });
    }
  }

  /** Reports every run that has still not ended as one of unknown outcome. */
  abandonAll(): void {
    for (const step of this.#held) {
      this.#abandon(step, 'it was stopped while this ran');
    }
  }

  stop(): void {
    this.#tokens.pause();
    this.#sender.stop();
    this.#cancelSweep?.();
    if (this.#held.size > 0) {
      this.environment.log.warn('stopped before the gateway confirmed everything', { steps: this.#held.size });
    }
  }

  #take(delivery: Delivery): void {
    this.#onToken(delivery).catch((error: unknown) => {
      this.environment.log.error('a step got stuck; its owner will find it missing', { reason: messageOf(error) });
    });
  }

  async #onToken(delivery: Delivery): Promise<void> {
    const parsed = StepTokenV1.safeParse(delivery.message);
    if (!parsed.success) {
      this.environment.log.warn('a message on the work queue is no token; it is dropped', { subject: delivery.subject });
      delivery.discard('not a step token');
      this.#tokens.release();
      return;
    }
    const token = parsed.data;
    const key = `${token.plan} ${token.step} ${token.attempt}`;
    const step = new HeldStep(this.#unanswered.get(key) ?? this.environment.ids.uuid(), token);
    if (this.#held.get(step.claim) !== undefined) {
      // A doubled token whose claim is being asked for already.
      delivery.ack();
      this.#tokens.release();
      return;
    }
    this.#held.add(step);
    this.#withSlot.add(step);
    const result = await this.#claimer.claim(step);
    if (result.kind === 'failed') {
      this.environment.log.warn('a claim got no answer; its token is given back', {
        plan: token.plan,
        step: token.step,
        reason: result.reason,
      });
      this.#remember(key, step.claim);
      delivery.retry(this.environment.tuning.tokenRetryMs);
      this.#forget(step);
      return;
    }
    this.#unanswered.delete(key);
    delivery.ack();
    if (result.kind === 'refused') {
      this.environment.log.debug('a claim was refused', { plan: token.plan, step: token.step, reason: result.reason });
      this.#forget(step);
      return;
    }
    await this.#run(step, result.grant, result.fault);
  }

  async #run(step: HeldStep, grant: GrantV1, fault: string | null): Promise<void> {
    step.phase = 'running';
    step.action = grant.action;
    const surroundings = { environment: this.environment, store: this.store, outbox: this.#outbox, sender: this.#sender };
    const run = new StepRun(step, grant, surroundings, this.plugin.mayWrite(grant.action, grant.actionVersion));
    step.deliverTo(run);
    if (this.#isDraining) {
      run.drain();
    }
    const outcome: InvocationOutcome =
      fault === null
        ? await this.invoke(grant, run).catch(failureOf)
        : { kind: 'failed', error: { errorClass: 'SealedSecretsError', message: fault, kind: 'retryable' } };
    await this.#end(step, run.end(outcome), false);
  }

  async #end(step: HeldStep, outcome: OutcomeV1, isAbandoned: boolean): Promise<void> {
    const { output } = step;
    const room = isAbandoned ? undefined : output?.room(this.environment.tuning.outcomeChunkBytes);
    if (room !== undefined) {
      this.#sender.flush();
      await room;
    }
    if (step.phase !== 'running') {
      return;
    }
    step.phase = 'ended';
    this.#sender.forget(step);
    step.output = undefined;
    const chunks: OutputChunkV1[] = [];
    let bytes = 0;
    for (const sized of output?.unconfirmed() ?? []) {
      bytes += sized.bytes;
      if (bytes > this.environment.tuning.outcomeChunkBytes) {
        // Only an abandoned step comes here: nobody waits for its output any more.
        break;
      }
      chunks.push(sized.chunk);
    }
    this.#outbox.add(step, outcome, chunks, bytes);
  }

  #onStored(stored: { claim: string; seq: number }[]): void {
    const nowMs = this.environment.clock.now();
    for (const { claim, seq } of stored) {
      const step = this.#held.get(claim);
      if (step?.output !== undefined) {
        step.output.confirm(seq, nowMs);
        if (step.output.unsentBytes > 0) {
          this.#sender.wrote(step, nowMs);
        }
      }
    }
  }

  #resend(beforeMs: number): void {
    for (const step of this.#held) {
      if (step.output !== undefined && step.output.hasSent && step.output.movedAtMs <= beforeMs) {
        step.output.rewind();
        this.#sender.sendSoon(step);
      }
    }
    this.#outbox.resend(beforeMs);
  }

  #sweepLater(): void {
    const { clock, tuning, log } = this.environment;
    this.#cancelSweep = clock.at(clock.now() + SWEEP_MS, () => {
      try {
        this.#checkCutOff();
        this.#resend(clock.now() - tuning.resendMs);
      } catch (error) {
        log.error('the look for unconfirmed messages failed', { reason: messageOf(error) });
      }
      this.#sweepLater();
    });
  }

  /**
   * No gateway has been heard for so long that they are about to give up what is held here: whatever must not run twice is ended before
   * that, so that what they say of it then is true.
   */
  #checkCutOff(): void {
    const { clock, tuning, log } = this.environment;
    // A plugin may have blocked this thread while the heart was heard all the time.
    this.#lastHeardMs = Math.max(this.#lastHeardMs, this.#heart?.lastAnsweredMs ?? 0);
    if (this.#isCutOff || clock.now() - this.#lastHeardMs <= this.#cutOffMs) {
      return;
    }
    this.#isCutOff = true;
    const ending = [...this.#held].filter((step) => step.phase === 'running' && !this.plugin.mayRunTwice(step.action));
    if (ending.length === 0) {
      return;
    }
    log.error('no gateway has been heard for so long that it is about to give up these steps; they are ended', {
      silentMs: clock.now() - this.#lastHeardMs,
      steps: ending.length,
    });
    ending.forEach((step) => step.receive({ kind: 'cancel', force: true }));
    clock.at(clock.now() + tuning.stopGraceMs, () => ending.forEach((step) => this.#abandon(step, 'it was cut off from every gateway')));
  }

  #abandon(step: HeldStep, why: string): void {
    if (step.phase === 'running') {
      const message = `the executor gave this up, because ${why}; it may still be running`;
      void this.#end(step, { kind: 'failed', error: { errorClass: 'ExecutorStopped', message, kind: 'unknown' } }, true);
    }
  }

  #releaseSlot(step: HeldStep): void {
    if (this.#withSlot.delete(step)) {
      this.#tokens.release();
      this.#held.changed();
    }
  }

  #forget(step: HeldStep): void {
    this.#held.remove(step);
    this.#releaseSlot(step);
  }

  #remember(key: string, claim: string): void {
    const [oldest] = this.#unanswered.keys();
    if (oldest !== undefined && this.#unanswered.size >= REMEMBERED_CLAIMS) {
      this.#unanswered.delete(oldest);
    }
    this.#unanswered.set(key, claim);
  }
}
