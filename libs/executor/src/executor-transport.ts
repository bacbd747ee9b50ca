import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { BaseRpcContext, Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { messageOf } from '@dynflow/kernel';
import type { BusSubscription } from '@dynflow/bus';
import { ExecutorMessage, HttpRequestV1, PlanRequestV1, subjects } from '@dynflow/contracts';
import type { DocumentStore, InvocationOutcome } from '@dynflow/plugin';
import type { ExecutorEnvironment } from './executor-environment.js';
import type { PluginHost } from './plugin-host.js';
import { Announcer } from './protocol/announcer.js';
import { BusHeart, type Heart } from './protocol/heart.js';
import { StepContext } from './step-context.js';
import { StepWorker } from './step-worker.js';

/** The Nest patterns that a controller of an executor answers. */
type Pattern = 'step' | 'plan' | 'http';

/**
 * A Nest transport over the project's bus: announces the plugin, takes steps while slots are free, hands each to the controller's
 * `step` handler, whose answer is the outcome, and carries `plan` and `http` requests to the handlers of these names.
 */
export class ExecutorTransport extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('dynflow-executor');
  /** Resolved when a gateway has accepted the manifest for the first time. */
  readonly announced: Promise<void>;
  readonly #worker: StepWorker;
  readonly #announcer: Announcer;
  readonly #heart: Heart;
  readonly #subscriptions: BusSubscription[] = [];
  readonly #handlers = new Map<Pattern, MessageHandler>();
  /** Resolved when what still runs was given up. */
  readonly #abandoned: Promise<void>;
  #abandon: () => void = () => undefined;
  #resolveAnnounced: () => void = () => undefined;
  #cancelRecheck: (() => void) | undefined;
  #state: 'new' | 'up' | 'draining' | 'closed' = 'new';
  #drained: Promise<void> | undefined;

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly host: PluginHost,
    store: DocumentStore,
    heart?: Heart,
  ) {
    super();
    this.announced = new Promise((resolve) => {
      this.#resolveAnnounced = resolve;
    });
    this.#abandoned = new Promise((resolve) => {
      this.#abandon = resolve;
    });
    this.#worker = new StepWorker(environment, host, store, async (grant, run) =>
      this.#call<InvocationOutcome>('step', grant, new StepContext(run)),
    );
    this.#heart = heart ?? new BusHeart(environment);
    this.#worker.listenTo(this.#heart);
    this.#worker.onHeldChange(() => this.#heart.changed());
    this.#announcer = new Announcer(
      environment,
      () => ({ declaration: host.declaration, health: host.health }),
      (isAccepted) => this.#onManifestAnswer(isAccepted),
    );
  }

  /** Listens, and goes on by itself: start-up check, announcement, tokens. What is not there yet is waited for. */
  override listen(callback: (...parameters: unknown[]) => void): void {
    const { bus, plugin, executorId, site } = this.environment;
    this.#state = 'up';
    this.#subscriptions.push(
      bus.subscribe(subjects.executor(plugin, executorId), (message) => this.#onMessage(message)),
      bus.subscribe(subjects.plan(plugin), async (message) => this.#call('plan', PlanRequestV1.parse(message)), { queue: 'executors' }),
      bus.subscribe(subjects.http(plugin, site), async (message) => this.#call('http', HttpRequestV1.parse(message)), {
        queue: 'executors',
      }),
    );
    bus.onReconnect(() => {
      if (this.#state === 'up' || this.#state === 'draining') {
        this.#announcer.announce();
        this.#worker.resendAll();
      }
    });
    callback();
    void this.#bringUp();
  }

  /**
   * Takes no more work and waits for what runs. After `limitMs` the runs are told to end by force, and those that still do not are
   * reported as of unknown outcome. Called again with a limit, it hurries on what the first call began.
   */
  async drain(options: { limitMs?: number } = {}): Promise<void> {
    this.#drained ??= this.#drain();
    if (options.limitMs !== undefined) {
      void this.#endWithin(options.limitMs);
    }
    return this.#drained;
  }

  override async close(): Promise<void> {
    if (this.#state === 'closed') {
      return;
    }
    await this.drain();
    this.#state = 'closed';
    this.#announcer.stop();
    this.#heart.stop();
    this.#worker.stop();
    for (const subscription of this.#subscriptions) {
      subscription.unsubscribe();
    }
    try {
      await this.host.stop();
    } catch (error) {
      this.environment.log.error('the plugin failed to stop', { reason: messageOf(error) });
    }
  }

  /** This transport has no events of its own. */
  override on(): void {
    throw new Error('the executor transport has no events; use its log and its status');
  }

  override unwrap<T>(): T {
    return this.environment.bus as T;
  }

  async #bringUp(): Promise<void> {
    const { log, plugin, clock, tuning } = this.environment;
    const before = this.host.health;
    const health = await this.host.start();
    if (this.#state === 'closed') {
      return;
    }
    if (health.state === 'broken') {
      log.error(`the plugin ${plugin} cannot work`, { reason: health.reason, checkedAgainInMs: tuning.recheckMs });
      this.#cancelRecheck = clock.at(clock.now() + tuning.recheckMs, () => void this.#bringUp());
    }
    if (health.state === 'running' || before.state === 'running' || health.reason !== before.reason) {
      this.#announcer.announce();
    }
  }

  #onManifestAnswer(isAccepted: boolean): void {
    if (!isAccepted) {
      this.#worker.pause();
      return;
    }
    this.#resolveAnnounced();
    this.#worker.heard();
    this.#heart.start(() => this.#worker.heartbeat(), {
      onAnswered: (lostAfterMs) => this.#worker.heard(lostAfterMs),
      onAnnounceWanted: () => this.#announcer.announce(),
    });
    if (this.host.health.state === 'running' && this.#state === 'up') {
      this.#worker.resume();
    }
  }

  #onMessage(message: unknown): void {
    const parsed = ExecutorMessage.safeParse(message);
    if (parsed.success) {
      this.#worker.receive(parsed.data);
    } else {
      this.environment.log.warn('an unknown message is dropped', { reason: parsed.error.issues[0]?.message ?? '' });
    }
  }

  async #drain(): Promise<void> {
    if (this.#state !== 'up') {
      return;
    }
    this.#state = 'draining';
    this.#cancelRecheck?.();
    this.#worker.drain();
    this.#heart.beatNow();
    await Promise.race([this.#worker.idle(), this.#abandoned]);
    await this.#within(this.#worker.applied(), this.environment.tuning.stopGraceMs);
    this.#heart.beatNow();
  }

  async #endWithin(limitMs: number): Promise<void> {
    if (await this.#within(this.#worker.idle(), limitMs)) {
      return;
    }
    this.environment.log.warn('the limit for stopping is reached; what still runs is told to end', { limitMs });
    this.#worker.cancelAll();
    if (!(await this.#within(this.#worker.idle(), this.environment.tuning.stopGraceMs))) {
      this.#worker.abandonAll();
      this.#abandon();
    }
  }

  /** True when it was done in time. */
  async #within(done: Promise<void>, ms: number): Promise<boolean> {
    const { clock } = this.environment;
    return new Promise((resolve) => {
      const cancel = clock.at(clock.now() + ms, () => resolve(false));
      void done.then(() => {
        cancel();
        resolve(true);
      });
    });
  }

  async #call<Answer>(pattern: Pattern, data: unknown, context: BaseRpcContext = new BaseRpcContext([])): Promise<Answer> {
    // Nest's look-up parses the pattern each time; a registered one stays what it is.
    const handler = this.#handlers.get(pattern) ?? this.getHandlerByPattern(pattern);
    if (handler === null) {
      throw new Error(`no handler has the pattern "${pattern}"`);
    }
    this.#handlers.set(pattern, handler);
    const answer: Observable<Answer> | Answer = await (handler(data, context) as Promise<Observable<Answer> | Answer>);
    return isObservable(answer) ? lastValueFrom(answer) : answer;
  }
}
