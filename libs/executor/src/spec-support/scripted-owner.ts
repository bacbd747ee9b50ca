import { workQueues, type BusSubscription, type MessageBus } from '@dynflow/bus';
import {
  ClaimRequestV1,
  HeartbeatV1,
  ManifestV1,
  OutputV1,
  ReportV1,
  subjects,
  type ClaimAnswerV1,
  type GrantV1,
  type OutcomeV1,
  type OutputChunkV1,
  type StepEventV1,
} from '@dynflow/contracts';
import type { JsonObject } from '@dynflow/kernel';
import { once } from './once.js';

type Answer = ClaimAnswerV1['answers'][number];
type Claim = ClaimRequestV1['claims'][number];
type Report = ReportV1['reports'][number];

/**
 * The gateway's half of the protocol, as a test wants it: it grants every claim with what the script says for the step, stores output
 * and applies reports, and keeps a record of all it saw. A test replaces a part to make things go wrong.
 */
export class ScriptedOwner {
  readonly manifests: ManifestV1[] = [];
  readonly heartbeats: HeartbeatV1[] = [];
  readonly claimRequests: ClaimRequestV1[] = [];
  readonly outputs: OutputV1[] = [];
  readonly reports: Report[] = [];
  readonly reportMessages: ReportV1[] = [];
  /** Output by plan, as a real owner would have stored it: doubled numbers dropped. */
  readonly stored = new Map<string, OutputChunkV1[]>();
  /** What a granted step gets, by plan. */
  readonly grants = new Map<string, Partial<GrantV1>>();

  acceptsManifest = true;
  wantsAnnouncement = false;
  confirmsOutput = true;
  appliesReports = true;
  answerClaims: (request: ClaimRequestV1) => ClaimAnswerV1 | Promise<ClaimAnswerV1> = (request) => this.answer(request);
  grantOrRefuse: (claim: Claim, request: ClaimRequestV1) => Answer | Promise<Answer> = (claim) => this.grant(claim);

  readonly #watchers = new Set<() => void>();
  #isServing = true;
  #isAway = false;
  #heartbeatSubscription: BusSubscription | undefined;

  constructor(
    readonly bus: MessageBus,
    readonly plugin: string,
    private readonly action: string,
  ) {}

  /** Makes the queues and listens as a gateway does. */
  async open(queues: string[] = ['default']): Promise<void> {
    await this.bus.ensureWorkQueue(workQueues.inbox(0));
    for (const queue of queues) {
      await this.bus.ensureWorkQueue(workQueues.steps(this.plugin, queue));
    }
    this.isAway(this.#isAway);
    this.bus.subscribe(subjects.claim('*', this.plugin), async (message) => {
      const request = ClaimRequestV1.parse(message);
      this.#seen(this.claimRequests, request);
      return this.answerClaims(request);
    });
    this.bus.subscribe(subjects.output('*', this.plugin), (message) => this.#onOutput(OutputV1.parse(message)));
    void this.#serveInbox();
  }

  /** Away: nobody answers heartbeats and announcements. */
  isAway(isAway: boolean): void {
    this.#isAway = isAway;
    this.#heartbeatSubscription?.unsubscribe();
    this.#heartbeatSubscription = isAway
      ? undefined
      : this.bus.subscribe(subjects.heartbeat(this.plugin, '*'), (message) => this.#onHeartbeat(message));
  }

  close(): void {
    this.#isServing = false;
  }

  async answer(request: ClaimRequestV1): Promise<ClaimAnswerV1> {
    const answers = await Promise.all(request.claims.map(async (claim) => this.grantOrRefuse(claim, request)));
    return { type: 'claim.answer', version: 1, answers };
  }

  grant(claim: Claim): GrantV1 {
    return {
      ...claim,
      result: 'granted',
      action: `${this.plugin}.${this.action}`,
      actionVersion: 1,
      phase: 'run',
      input: {},
      output: {},
      events: [],
      nextSeq: 1,
      ...this.grants.get(claim.plan),
    };
  }

  async token(plan: string, options: { step?: number; attempt?: number; shard?: number; queue?: string } = {}): Promise<void> {
    const { step = 2, attempt = 1, shard = 0, queue = 'default' } = options;
    await this.bus.enqueue(subjects.step(this.plugin, queue), { type: 'step.token', version: 1, shard, plan, step, attempt });
  }

  /** Puts a token and waits for the outcome of its step. */
  async run(plan: string, grant: Partial<GrantV1> = {}): Promise<Exclude<OutcomeV1, { kind: 'checkpoint' }>> {
    this.grants.set(plan, grant);
    await this.token(plan);
    return this.outcome(plan);
  }

  async outcome(plan: string): Promise<Exclude<OutcomeV1, { kind: 'checkpoint' }>> {
    return this.until(() => {
      const outcome = this.reports.find((report) => report.plan === plan && report.outcome.kind !== 'checkpoint')?.outcome;
      return outcome?.kind === 'checkpoint' ? undefined : outcome;
    });
  }

  claimOf(plan: string): string {
    const claim = this.claimRequests.flatMap((request) => request.claims).find((one) => one.plan === plan);
    if (claim === undefined) {
      throw new Error(`no claim for ${plan}`);
    }
    return claim.claim;
  }

  tell(message: JsonObject): void {
    const executor = this.manifests.at(-1)?.executor ?? '';
    this.bus.publish(subjects.executor(this.plugin, executor), { version: 1, ...message });
  }

  sendEvent(plan: string, event: StepEventV1['event']): void {
    this.tell({ type: 'step.event', claim: this.claimOf(plan), event: { ...event } as JsonObject });
  }

  confirmOutput(plan: string, seq: number): void {
    this.tell({ type: 'output.stored', output: [{ claim: this.claimOf(plan), seq }] });
  }

  apply(reports: Report[], result: 'applied' | 'stale' = 'applied'): void {
    this.tell({ type: 'applied', reports: reports.map(({ claim, number }) => ({ claim, number, result })) });
  }

  /** Resolved with the value as soon as there is one; looked at whenever something has arrived. */
  async until<Value>(look: () => Value | undefined | false): Promise<Value> {
    return once((check) => {
      this.#watchers.add(check);
      return () => this.#watchers.delete(check);
    }, look);
  }

  text(plan: string): string {
    return (this.stored.get(plan) ?? []).map((chunk) => chunk.text).join('');
  }

  #onHeartbeat(message: unknown): unknown {
    if ((message as { type?: unknown }).type === 'manifest') {
      this.#seen(this.manifests, ManifestV1.parse(message));
      return {
        type: 'manifest.answer',
        version: 1,
        accepted: this.acceptsManifest,
        ...(this.acceptsManifest ? {} : { reason: 'the test says no' }),
      };
    }
    this.#seen(this.heartbeats, HeartbeatV1.parse(message));
    return { type: 'heartbeat.answer', version: 1, announce: this.wantsAnnouncement };
  }

  #onOutput(message: OutputV1): void {
    for (const { plan, claim, chunks } of message.output) {
      this.#store(plan, chunks);
      if (this.confirmsOutput) {
        this.tell({ type: 'output.stored', output: [{ claim, seq: this.stored.get(plan)?.at(-1)?.seq ?? 0 }] });
      }
    }
    this.#seen(this.outputs, message);
  }

  async #serveInbox(): Promise<void> {
    const reader = this.bus.reader(workQueues.inbox(0));
    while (this.#isServing) {
      const delivery = await reader.next({ expiresMs: 1_000 }).catch(() => null);
      if (delivery === null) {
        continue;
      }
      const message = ReportV1.parse(delivery.message);
      delivery.ack();
      for (const report of message.reports) {
        this.#store(report.plan, report.chunks);
        this.reports.push(report);
      }
      if (this.appliesReports) {
        this.apply(message.reports);
      }
      this.#seen(this.reportMessages, message);
    }
  }

  #store(plan: string, chunks: OutputChunkV1[]): void {
    const stored = this.stored.get(plan) ?? [];
    this.stored.set(plan, stored);
    for (const chunk of chunks) {
      if (chunk.seq === (stored.at(-1)?.seq ?? 0) + 1) {
        stored.push(chunk);
      }
    }
  }

  #seen<Item>(list: Item[], item: Item): void {
    list.push(item);
    for (const check of [...this.#watchers]) {
      check();
    }
  }
}
