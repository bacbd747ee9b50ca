import type { ClaimRequestV1, ExecutorMessage, OutcomeV1, OutputChunkV1, RefusalV1, ReportV1, StepTokenV1 } from '@dynflow/contracts';
import type { SealedGrant } from '@dynflow/engine';

/** The engine as executors reach it: whatever they ask may fail, and is then asked again. */
export interface EngineLink {
  claim(plugin: string, request: ClaimRequestV1): Promise<(SealedGrant | RefusalV1)[]>;
  report(plugin: string, message: ReportV1): Promise<void>;
}

/** A step that this executor holds. */
export interface HeldStep {
  readonly plugin: string;
  readonly executor: string;
  readonly claim: string;
  readonly plan: string;
  readonly step: number;
  readonly attempt: number;
  readonly grant: SealedGrant;
  /** Events that came for it while it was held, cancel among them. */
  readonly events: (ExecutorMessage & { type: 'step.event' })['event'][];
  lastReport: number;
  nextSeq: number;
}

/**
 * One executor process of one plugin, in the test's own thread. It keeps what it sent until that is confirmed, as a real one does, so
 * that it can be asked to send it again.
 */
export class ScriptedExecutor {
  readonly held = new Map<string, HeldStep>();
  /** Reports that the engine has not confirmed yet, by claim and number. */
  readonly unconfirmed = new Map<string, ReportV1>();
  readonly received: ExecutorMessage[] = [];
  startId = 'start-1';
  /** Nothing reaches it. */
  isAway = false;
  #claims = 0;

  constructor(
    readonly plugin: string,
    readonly id: string,
    readonly link: () => EngineLink,
  ) {}

  /** Asks for the step of a token. A claim that was asked already keeps its id: `again`. */
  async claim(token: StepTokenV1, again?: string): Promise<HeldStep | RefusalV1> {
    const claim = again ?? this.nextClaimId();
    const request: ClaimRequestV1 = {
      type: 'claim',
      version: 1,
      executor: this.id,
      startId: this.startId,
      claims: [{ claim, plan: token.plan, step: token.step, attempt: token.attempt }],
    };
    const [answer] = await this.link().claim(this.plugin, request);
    if (answer === undefined) {
      throw new Error('a claim was not answered');
    }
    return answer.result === 'refused' ? answer : this.hold(answer);
  }

  nextClaimId(): string {
    this.#claims += 1;
    return `${this.plugin}-${this.id}-claim-${this.#claims}`;
  }

  hold(grant: SealedGrant): HeldStep {
    const known = this.held.get(grant.claim);
    if (known !== undefined) {
      return known;
    }
    const { claim, plan, step, attempt, nextSeq } = grant;
    const held: HeldStep = {
      plugin: this.plugin,
      executor: this.id,
      claim,
      plan,
      step,
      attempt,
      grant,
      events: [],
      lastReport: 0,
      nextSeq,
    };
    this.held.set(claim, held);
    return held;
  }

  /** Reports an outcome with the next number and output texts; resolved when the engine has it. */
  async report(held: HeldStep, outcome: OutcomeV1, texts: readonly string[] = []): Promise<ReportV1> {
    held.lastReport += 1;
    const { claim, plan, step, attempt } = held;
    const chunks = texts.map((text) => this.chunk(held, text));
    const message: ReportV1 = {
      type: 'report',
      version: 1,
      executor: this.id,
      startId: this.startId,
      reports: [{ claim, plan, step, attempt, number: held.lastReport, outcome, chunks }],
    };
    this.unconfirmed.set(`${claim}#${held.lastReport}`, message);
    if (outcome.kind !== 'checkpoint') {
      this.held.delete(claim);
    }
    await this.send(message);
    return message;
  }

  async send(message: ReportV1): Promise<void> {
    await this.link().report(this.plugin, message);
  }

  chunk(held: HeldStep, text: string): OutputChunkV1 {
    const chunk: OutputChunkV1 = { seq: held.nextSeq, kind: 'stdout', timestampMs: 0, text };
    held.nextSeq += 1;
    return chunk;
  }

  /** What the engine tells it. @returns false when it cannot be reached. */
  receive(message: ExecutorMessage): boolean {
    if (this.isAway) {
      return false;
    }
    this.received.push(message);
    if (message.type === 'applied') {
      for (const { claim, number } of message.reports) {
        this.unconfirmed.delete(`${claim}#${number}`);
      }
    } else if (message.type === 'step.event') {
      this.held.get(message.claim)?.events.push(message.event);
    }
    return true;
  }

  /** The process dies and comes back: it holds nothing and has a new start id. */
  restart(): void {
    this.held.clear();
    this.unconfirmed.clear();
    this.startId = `start-${Number(this.startId.split('-')[1]) + 1}`;
  }
}
