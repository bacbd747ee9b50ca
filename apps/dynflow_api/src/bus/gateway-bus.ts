import { UnavailableError, messageOf, type Clock, type JsonObject } from '@dynflow/kernel';
import {
  ClaimRequestV1,
  HeartbeatV1,
  ManifestV1,
  OutputV1,
  PlanAnswerV1,
  ReportV1,
  StoreRequestV1,
  pluginOf,
  pluginOfSubject,
  queuesOf,
  subjects,
  type ActionDeclaration,
  type ClaimAnswerV1,
  type ExecutorMessage,
  type GrantV1,
  type HeartbeatAnswerV1,
  type ManifestAnswerV1,
  type PlanRequestV1,
  type RefusalV1,
  type Schedule,
  type StepErrorV1,
  type StoreAnswerV1,
} from '@dynflow/contracts';
import { workQueues, type Delivery, type MessageBus } from '@dynflow/bus';
import type { Engine, Refusal, SealedGrant, PlanAnswer } from '@dynflow/engine';
import type { PluginLog } from '@dynflow/plugin';
import type { PluginRegistry } from '../registry/plugin-registry.js';
import type { SecretBox } from '../secrets/secret-box.js';
import { SilentHolders } from './silent-holders.js';
import type { TokenDispatcher } from './token-dispatcher.js';

/** SQLite has one shard; with PostgreSQL each gateway serves those that it owns. */
const SHARD = 0;
/** Reports that are taken from the inbox and not committed yet: enough for a large group commit, bounded in memory. */
const MAX_REPORTS_IN_FLIGHT = 256;
const INBOX_EXPIRES_MS = 5_000;
const TELL_TIMEOUT_MS = 5_000;
const PLAN_TIMEOUT_MS = 30_000;
const CHECK_EVERY_MS = 5_000;
/** Documents of plugins, by plugin. */
export interface PluginDocuments {
  handle(plugin: string, request: StoreRequestV1): Promise<StoreAnswerV1>;
}

/** Keeps declarations for the next start. */
export interface DeclarationKeeper {
  keep(declaration: ManifestV1['declaration']): Promise<void>;
}

export interface GatewayBusOptions {
  bus: MessageBus;
  clock: Clock;
  engine: Engine;
  registry: PluginRegistry;
  dispatcher: TokenDispatcher;
  secrets: SecretBox;
  documents: PluginDocuments;
  keeper: DeclarationKeeper;
  /** All executors live in this process (fat shape): any other holder of a step is of an earlier process, and gone. */
  ownsExecutors: boolean;
  /** An executor that has been silent for so long is lost, and with it what it held. */
  lostAfterMs: number;
  log: PluginLog;
}

/**
 * The gateway's end of the protocol: what executors say is parsed here and put to the engine; the plugin is always the subject's. What
 * does not parse is dropped with a line in the log, because nobody who keeps to the protocol sends it.
 */
export class GatewayBus {
  readonly #options: GatewayBusOptions;
  readonly #abort = new AbortController();
  readonly #silent: SilentHolders;
  #inFlight = 0;
  #roomForReports: (() => void) | undefined;
  #stopChecks: (() => void) | undefined;
  #inboxLoop: Promise<void> = Promise.resolve();

  constructor(options: GatewayBusOptions) {
    this.#options = options;
    const { clock, lostAfterMs, registry } = options;
    this.#silent = new SilentHolders({
      clock,
      lostAfterMs,
      lastHeardMs: ({ plugin, executor, startId }) => registry.lastHeardMs(plugin, executor, startId),
    });
  }

  async start(): Promise<void> {
    const { bus } = this.#options;
    await bus.ensureWorkQueue(workQueues.inbox(SHARD));
    bus.subscribe(subjects.claim(SHARD, '*'), (message, { subject }) => this.#onClaim(message, pluginOfSubject(subject)));
    bus.subscribe(subjects.output(SHARD, '*'), (message, { subject }) => this.#onOutput(message, pluginOfSubject(subject)));
    bus.subscribe(subjects.heartbeat('*', '*'), (message, { subject }) => this.#onHeartbeat(message, pluginOfSubject(subject)));
    bus.subscribe(subjects.store('*'), (message, { subject }) => this.#onStore(message, pluginOfSubject(subject)));
    bus.onReconnect(() => void this.#onReconnect());
    this.#inboxLoop = this.#readInbox();
    this.#checkLater();
  }

  /** Takes no more messages; what was taken is answered. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#stopChecks?.();
    await this.#inboxLoop;
  }

  /** For the engine's outbox: tells an executor something. Confirmations may be lost, events must be received. */
  async tell(plugin: string, executor: string, message: ExecutorMessage): Promise<boolean> {
    const { bus } = this.#options;
    const subject = subjects.executor(plugin, executor);
    try {
      if (message.type !== 'step.event') {
        bus.publish(subject, message);
        return true;
      }
      await bus.request(subject, message, { timeoutMs: TELL_TIMEOUT_MS });
      return true;
    } catch (error) {
      this.#options.log.debug('an executor could not be told', { executor, type: message.type, reason: messageOf(error) });
      return false;
    }
  }

  /** For the engine's outbox: asks an executor for a plan. @throws UnavailableError when none answers. */
  async askPlan(declaration: ActionDeclaration, input: JsonObject): Promise<PlanAnswer | { error: StepErrorV1 }> {
    const request = { type: 'plan', version: 1, action: declaration.name, actionVersion: declaration.version, input };
    const answer = await this.#options.bus.request(subjects.plan(pluginOf(declaration.name)), request, { timeoutMs: PLAN_TIMEOUT_MS });
    const { nodes = [], input: changed, error } = PlanAnswerV1.parse(answer);
    if (error !== undefined) {
      assertVersionServed(error);
      return { error };
    }
    return changed === undefined ? { nodes } : { nodes, input: changed };
  }

  /** For the engine's outbox: asks an executor before a plan is scheduled. @throws UnavailableError when none answers. */
  async askDelay(
    declaration: ActionDeclaration,
    input: JsonObject,
    schedule: Schedule,
  ): Promise<{ input: JsonObject } | { error: StepErrorV1 }> {
    const { name: action, version: actionVersion } = declaration;
    const request: PlanRequestV1 = { type: 'plan', version: 1, action, actionVersion, input, delay: schedule };
    const answer = await this.#options.bus.request(subjects.plan(pluginOf(action)), request, { timeoutMs: PLAN_TIMEOUT_MS });
    const { input: changed, error } = PlanAnswerV1.parse(answer);
    if (error === undefined) {
      return { input: changed ?? input };
    }
    assertVersionServed(error);
    return { error };
  }

  async #onClaim(message: unknown, plugin: string): Promise<ClaimAnswerV1 | undefined> {
    const request = this.#parse(ClaimRequestV1, message, plugin);
    if (request === undefined) {
      return undefined;
    }
    this.#options.dispatcher.claimed(plugin, request.claims);
    const decided = await this.#options.engine.claim(plugin, request);
    for (const answer of decided) {
      if (answer.result === 'refused' && answer.stillReady !== undefined) {
        this.#options.dispatcher.offerAgain(answer.stillReady);
      }
    }
    const answers = await Promise.all(decided.map((answer) => this.#withSecrets(answer, request, plugin)));
    return { type: 'claim.answer', version: 1, answers };
  }

  async #withSecrets(answer: SealedGrant | Refusal, request: ClaimRequestV1, plugin: string): Promise<GrantV1 | RefusalV1> {
    if (answer.result === 'refused') {
      const { claim, result, reason } = answer;
      return { claim, result, reason };
    }
    const { sealedSecrets, secretKeys: _, ...grant } = answer;
    if (sealedSecrets === null || request.publicKey === undefined) {
      return grant;
    }
    try {
      return { ...grant, secrets: await this.#options.secrets.reseal(sealedSecrets, grant.plan, request.publicKey) };
    } catch (error) {
      return this.#failWithoutSecrets(grant, request, plugin, error);
    }
  }

  /** A job whose secrets cannot be opened must not run without them: its step ends here, in its executor's place. */
  async #failWithoutSecrets(grant: Omit<GrantV1, 'secrets'>, request: ClaimRequestV1, plugin: string, error: unknown): Promise<RefusalV1> {
    const { executor, startId } = request;
    const { claim, plan, step, attempt } = grant;
    const failure = { errorClass: 'SecretsUnreadable', message: messageOf(error), code: 'DYN_SECRETS_UNREADABLE', kind: 'final' } as const;
    const report = { claim, plan, step, attempt, number: 1, outcome: { kind: 'failed', error: failure } as const, chunks: [] };
    await this.#options.engine.report(plugin, { type: 'report', version: 1, executor, startId, reports: [report] });
    return { claim, result: 'refused', reason: failure.message };
  }

  async #onOutput(message: unknown, plugin: string): Promise<void> {
    const output = this.#parse(OutputV1, message, plugin);
    if (output !== undefined) {
      await this.#options.engine.output(plugin, output).catch((error: unknown) => {
        // The executor sends it again, since it is not told that it is stored.
        this.#options.log.warn('output could not be stored yet', { plugin, reason: messageOf(error) });
      });
    }
  }

  async #onHeartbeat(message: unknown, plugin: string): Promise<ManifestAnswerV1 | HeartbeatAnswerV1 | undefined> {
    if (isTyped(message, 'manifest')) {
      const manifest = this.#parse(ManifestV1, message, plugin);
      return manifest === undefined
        ? {
            type: 'manifest.answer',
            version: 1,
            accepted: false,
            reason: 'the manifest does not fit its schema; see the log of the gateway',
          }
        : this.#onManifest(manifest, plugin);
    }
    const heartbeat = this.#parse(HeartbeatV1, message, plugin);
    if (heartbeat === undefined) {
      return undefined;
    }
    const { registry, dispatcher, engine } = this.#options;
    const isKnown = registry.heard(heartbeat, plugin);
    dispatcher.slotsChanged(plugin);
    await engine.remind(heartbeat.held);
    const { executor, startId } = heartbeat;
    await engine.reconcile(
      plugin,
      { executor, startId },
      heartbeat.held.map((held) => held.claim),
    );
    return { type: 'heartbeat.answer', version: 1, announce: !isKnown, lostAfterMs: this.#options.lostAfterMs };
  }

  async #onManifest(manifest: ManifestV1, plugin: string): Promise<ManifestAnswerV1> {
    const { registry, bus, dispatcher, engine, keeper, log } = this.#options;
    const reason = registry.announce(manifest, plugin);
    if (reason !== undefined) {
      log.warn('a manifest was refused', { plugin, executor: manifest.executor, reason });
      return { type: 'manifest.answer', version: 1, accepted: false, reason };
    }
    for (const queue of queuesOf(manifest.declaration.actions)) {
      await bus.ensureWorkQueue(workQueues.steps(plugin, queue));
    }
    await keeper.keep(manifest.declaration);
    const lost = await engine.executorLost(plugin, manifest.executor, (startId) => startId !== manifest.startId);
    if (lost > 0) {
      log.warn('an executor was restarted; what it held is lost', { plugin, executor: manifest.executor, steps: lost });
    }
    const health = manifest.health.state === 'running' ? {} : { reason: manifest.health.reason };
    log.info(`executor ${manifest.executor} of ${plugin} is ${manifest.health.state}`, { slots: manifest.slots, ...health });
    await engine.servedChanged(plugin);
    dispatcher.slotsChanged(plugin);
    return { type: 'manifest.answer', version: 1, accepted: true };
  }

  async #onStore(message: unknown, plugin: string): Promise<StoreAnswerV1 | undefined> {
    const request = this.#parse(StoreRequestV1, message, plugin);
    return request === undefined ? undefined : this.#options.documents.handle(plugin, request);
  }

  async #onReconnect(): Promise<void> {
    const { bus, dispatcher, engine, registry, log } = this.#options;
    this.#silent.listenAnew();
    try {
      await bus.ensureWorkQueue(workQueues.inbox(SHARD));
      for (const declaration of registry.declarations()) {
        for (const queue of queuesOf(declaration.actions)) {
          if (!declaration.actions.some((action) => registry.isLocal(action.name))) {
            await bus.ensureWorkQueue(workQueues.steps(declaration.plugin, queue));
          }
        }
      }
      dispatcher.republish(engine.readyTokens(), { isBusNew: true });
    } catch (error) {
      log.warn('the work queues could not be made after a reconnect; the next check tries again', { reason: messageOf(error) });
    }
  }

  /** One after the other in order, many at once in flight: what arrives in one turn of the event loop is committed together. */
  async #readInbox(): Promise<void> {
    const reader = this.#options.bus.reader(workQueues.inbox(SHARD));
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        if (this.#inFlight >= MAX_REPORTS_IN_FLIGHT) {
          await new Promise<void>((resolve) => {
            this.#roomForReports = resolve;
          });
        }
        const delivery = await reader.next({ expiresMs: INBOX_EXPIRES_MS, signal });
        if (delivery !== null) {
          this.#inFlight += 1;
          void this.#onReport(delivery).finally(() => {
            this.#inFlight -= 1;
            this.#roomForReports?.();
            this.#roomForReports = undefined;
          });
        }
      } catch (error) {
        if (!signal.aborted) {
          this.#options.log.warn('the inbox cannot be read; trying again', { reason: messageOf(error) });
          await this.#pause(1_000);
        }
      }
    }
  }

  async #onReport(delivery: Delivery): Promise<void> {
    const plugin = pluginOfSubject(delivery.subject);
    const report = this.#parse(ReportV1, delivery.message, plugin);
    if (report === undefined) {
      delivery.discard('it does not fit the schema of reports');
      return;
    }
    try {
      await this.#options.engine.report(plugin, report);
      delivery.ack();
    } catch (error) {
      this.#options.log.warn('a report could not be applied yet', { plugin, reason: messageOf(error) });
      delivery.retry(1_000);
    }
  }

  #checkLater(): void {
    const { clock } = this.#options;
    this.#stopChecks = clock.at(clock.now() + CHECK_EVERY_MS, () => {
      void this.#check().finally(() => {
        if (!this.#abort.signal.aborted) {
          this.#checkLater();
        }
      });
    });
  }

  /** What repeats so that nothing that was lost stays lost: tokens that nobody claimed, executors that fell silent. */
  async #check(): Promise<void> {
    const { engine, dispatcher, registry, bus, log, lostAfterMs } = this.#options;
    try {
      if (bus.isConnected) {
        dispatcher.republish(engine.readyTokens(), { isBusNew: false });
      }
      await this.#giveUpSilentHolders();
      for (const plugin of registry.forgetSilent(2 * lostAfterMs)) {
        await engine.servedChanged(plugin);
      }
    } catch (error) {
      log.warn('a check of the bus failed', { reason: messageOf(error) });
    }
  }

  async #giveUpSilentHolders(): Promise<void> {
    const { engine, registry, bus, log, ownsExecutors } = this.#options;
    if (!bus.isConnected) {
      return;
    }
    const holders = engine.claimHolders();
    // In the fat shape whoever is not of this process is of an earlier one.
    const gone = ownsExecutors
      ? holders.filter(({ plugin, executor, startId }) => registry.lastHeardMs(plugin, executor, startId) === undefined)
      : this.#silent.gone(holders, CHECK_EVERY_MS);
    for (const { plugin, executor, startId } of gone) {
      const steps = await engine.executorLost(plugin, executor, (start) => start === startId);
      log.warn('an executor is gone; what it held is lost', { plugin, executor, steps });
    }
  }

  async #pause(ms: number): Promise<void> {
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      clock.at(clock.now() + ms, resolve);
    });
  }

  #parse<T>(
    schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error } },
    message: unknown,
    plugin: string,
  ): T | undefined {
    const parsed = schema.safeParse(message);
    if (parsed.success) {
      return parsed.data;
    }
    this.#options.log.warn('a message was dropped: it does not fit its schema', { plugin, problem: parsed.error.message.slice(0, 500) });
    return undefined;
  }
}

/** While executors are exchanged the question may come to one of another version: that says nothing of the plan. @throws UnavailableError */
function assertVersionServed(error: StepErrorV1): void {
  if (error.errorClass === 'VersionMismatchError') {
    throw new UnavailableError('DYN_VERSION_NOT_SERVED', error.message);
  }
}

function isTyped(message: unknown, type: string): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === type;
}
