import type { ExecutorMessage, OutcomeV1, RefusalV1, ReportV1, StepErrorV1, StepTokenV1 } from '@dynflow/contracts';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { Engine, type EngineOptions, type Outbox, type RestedPlan, type TriggerInput } from '@dynflow/engine';
import { UnavailableError } from '@dynflow/kernel';
import { ManualClock } from './manual-clock.js';
import { MemoryPlanStore } from './memory-plan-store.js';
import { PlanRecord } from './plan-record.js';
import { ScriptedCatalogue } from './scripted-catalogue.js';
import { ScriptedExecutor, type EngineLink, type HeldStep } from './scripted-executor.js';
import { SequentialIds } from './sequential-ids.js';

/** Thrown by what was under way in an engine that was restarted: its caller will never hear of it. */
export class EngineIsGoneError extends Error {
  constructor() {
    super('the engine was restarted before it answered');
  }
}

export interface PublishedToken {
  readonly plugin: string;
  readonly queue: string;
  readonly token: StepTokenV1;
}

/** An effect that a local action asked for and the world performed. */
export interface PerformedEffect {
  readonly action: string;
  readonly name: string;
  readonly payload: JsonValue;
}

/** More turns in a row than any test needs: what goes on longer goes round in circles. */
const MAX_ROUNDS = 10_000;

type WorldOptions = Partial<Pick<EngineOptions, 'outputLimitBytes' | 'world' | 'hooks' | 'phases' | 'random' | 'holds'>>;

/**
 * An engine with everything around it, in one thread: a clock that is moved by hand, a store in memory, actions that are declared in
 * one line, and executors that claim and report when told to. Time passes by {@link advance} only, and turns run when {@link settle}
 * (which every verb here ends with) lets them.
 *
 * Owns: the engine, which it can restart on the same store. What executors hold and the tokens on their way outlive a restart.
 */
export class EngineWorld {
  readonly clock = new ManualClock();
  readonly store = new MemoryPlanStore();
  readonly ids = new SequentialIds();
  readonly actions = new ScriptedCatalogue();
  /** Tokens that nobody took yet. */
  readonly tokens: PublishedToken[] = [];
  readonly effects: PerformedEffect[] = [];
  readonly rested: RestedPlan[] = [];
  /** What the engine reported of faults that no caller waits for. */
  readonly faults: string[] = [];
  readonly told: { plugin: string; executor: string; message: ExecutorMessage }[] = [];
  /** How effects are performed; the default answers null. */
  perform: (effect: PerformedEffect) => JsonValue | Promise<JsonValue> = () => null;
  /** Nobody answers when an executor is asked for a plan. */
  arePlannersAway = false;
  engine: Engine;

  readonly #options: WorldOptions;
  readonly #executors = new Map<string, ScriptedExecutor>();
  #turns: (() => void)[] = [];
  #generation = 0;
  #isCrashed = false;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.engine = this.#makeEngine();
  }

  // --- the engine ----------------------------------------------------------------------------------------------------------------

  /** Asks the engine and lets everything that follows happen. @throws Error if it has not answered when nothing happens any more. */
  async ask<T>(question: (engine: Engine) => Promise<T>): Promise<T> {
    return this.#settled(this.begin(question));
  }

  /** Asks the engine and does not wait for anything. A restart before the answer makes it {@link EngineIsGoneError}. */
  async begin<T>(question: (engine: Engine) => Promise<T>): Promise<T> {
    const generation = this.#generation;
    try {
      const answer = await question(this.engine);
      this.#assertGeneration(generation);
      return answer;
    } catch (error) {
      this.#assertGeneration(generation);
      throw error;
    }
  }

  /** Triggers an action. @returns the plan's id. */
  async trigger(action: string, input: JsonObject = {}, more: Omit<TriggerInput, 'action' | 'input'> = {}): Promise<string> {
    const { plan } = await this.ask((engine) => engine.trigger({ action, input, ...more }));
    return plan;
  }

  /** Lets turns run, and keeps appointments that are overdue, until nothing is left that happens by itself. */
  async settle(): Promise<void> {
    let isQuiet = false;
    for (let round = 0; !isQuiet; round += 1) {
      if (round > MAX_ROUNDS) {
        throw new Error(`the engine does not come to rest: ${round} turns without an end`);
      }
      // Lets promises that are resolved already go on; nothing here waits for time.
      await new Promise((resolve) => setImmediate(resolve));
      const isOverdue = (this.clock.nextAtMs ?? Infinity) <= this.clock.now();
      isQuiet = this.#turns.length === 0 && !isOverdue;
      this.clock.advance(0);
      this.turn();
    }
  }

  /** Runs the turns that are due now, without letting promises go on. */
  turn(): void {
    for (const turn of this.#turns.splice(0)) {
      turn();
    }
  }

  /** Lets time pass, timers included. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  /** The process dies at once: what it had in memory, on its clock or under way is gone. */
  crash(): void {
    this.#generation += 1;
    this.#isCrashed = true;
    this.#turns = [];
    this.clock.clear();
  }

  /** A new engine on the same store, as after a restart of the process; resolved when it has gone on with everything. */
  async restart(options: { holdBecause?: string } = {}): Promise<void> {
    if (!this.#isCrashed) {
      this.crash();
    }
    this.#isCrashed = false;
    this.engine = this.#makeEngine();
    await this.ask((engine) => engine.start(options));
  }

  /** How often the process died. */
  get generation(): number {
    return this.#generation;
  }

  /** It died and was not restarted yet. */
  get isCrashed(): boolean {
    return this.#isCrashed;
  }

  // --- what is committed ----------------------------------------------------------------------------------------------------------

  /** A plan as it is in the store now. @throws Error if there is none. */
  plan(id: string): PlanRecord {
    const stored = this.store.read(id);
    if (stored === null) {
      throw new Error(`there is no plan ${id}`);
    }
    return new PlanRecord(stored);
  }

  /** All plans, oldest first. */
  get plans(): PlanRecord[] {
    return this.store.planIds.map((id) => this.plan(id));
  }

  /** The output chunks of an action, joined. */
  text(plan: string, action = 1): string {
    return this.store
      .readChunks(plan, action)
      .map(({ text }) => text)
      .join('');
  }

  // --- executors ------------------------------------------------------------------------------------------------------------------

  /** The executor with this id, made when first asked for. */
  executor(plugin: string, id = 'e1'): ScriptedExecutor {
    const key = `${plugin}.${id}`;
    const executor = this.#executors.get(key) ?? new ScriptedExecutor(plugin, id, () => this.#link());
    this.#executors.set(key, executor);
    return executor;
  }

  get executors(): ScriptedExecutor[] {
    return [...this.#executors.values()];
  }

  /** All steps that executors hold, in the order in which they got them. */
  get held(): HeldStep[] {
    return this.executors.flatMap(({ held }) => [...held.values()]);
  }

  /** Takes the first token (or the first that fits) and claims its step. @throws Error if there is no such token or it is refused. */
  async claim(which: { plan?: string; step?: number; executor?: string } = {}): Promise<HeldStep> {
    const answer = await this.tryClaim(which);
    if ('result' in answer) {
      throw new Error(`the claim was refused: ${answer.reason}`);
    }
    return answer;
  }

  /** As {@link claim}, but a refusal is an answer. */
  async tryClaim(which: { plan?: string; step?: number; executor?: string } = {}): Promise<HeldStep | RefusalV1> {
    const index = this.tokens.findIndex(
      ({ token }) => (which.plan ?? token.plan) === token.plan && (which.step ?? token.step) === token.step,
    );
    const [taken] = index < 0 ? [] : this.tokens.splice(index, 1);
    if (taken === undefined) {
      throw new Error(`no token for ${JSON.stringify(which)}`);
    }
    return this.#settled(this.executor(taken.plugin, which.executor).claim(taken.token));
  }

  /** Reports an outcome of a held step, with output texts. */
  async report(held: HeldStep, outcome: OutcomeV1, texts: readonly string[] = []): Promise<ReportV1> {
    return this.#settled(this.executor(held.plugin, held.executor).report(held, outcome, texts));
  }

  async finish(held: HeldStep, output: JsonObject = {}): Promise<ReportV1> {
    return this.report(held, { kind: 'done', output });
  }

  async fail(held: HeldStep, error: Partial<StepErrorV1> = {}): Promise<ReportV1> {
    return this.report(held, { kind: 'failed', error: { errorClass: 'TestError', message: 'it failed', kind: 'final', ...error } });
  }

  async suspend(held: HeldStep, checkpoint: JsonValue = {}, wakeAfterMs?: number): Promise<ReportV1> {
    const timer = wakeAfterMs === undefined ? {} : { wakeAfterMs };
    return this.report(held, { kind: 'suspended', checkpoint, waitingFor: 'an event', ...timer });
  }

  /** Claims whatever is ready and does what the catalogue says, until nothing is ready any more. */
  async runAll(): Promise<void> {
    await this.settle();
    while (this.tokens.length > 0) {
      const answer = await this.tryClaim();
      if (!('result' in answer)) {
        await this.performStep(answer);
      }
    }
  }

  /** Does with a held step what the catalogue says. */
  async performStep(held: HeldStep): Promise<void> {
    const outcomes = [this.actions.behaviourOf(held.grant.action)(held.grant)].flat();
    for (const outcome of outcomes) {
      await this.report(held, outcome);
    }
  }

  // --- wiring ---------------------------------------------------------------------------------------------------------------------

  async #settled<T>(answer: Promise<T>): Promise<T> {
    let isAnswered = false;
    // A refusal is the caller's to see, after all that follows from it.
    void answer.then(
      () => (isAnswered = true),
      () => (isAnswered = true),
    );
    await this.settle();
    if (!isAnswered) {
      throw new Error('the engine has not answered, and nothing happens any more: does it wait for time, or for the store?');
    }
    return answer;
  }

  #assertGeneration(generation: number): void {
    if (generation !== this.#generation) {
      throw new EngineIsGoneError();
    }
  }

  #link(): EngineLink {
    return {
      claim: async (plugin, request) => this.begin((engine) => engine.claim(plugin, request)),
      report: async (plugin, message) => this.begin((engine) => engine.report(plugin, message)),
    };
  }

  #makeEngine(): Engine {
    const generation = this.#generation;
    const isGone = (): boolean => generation !== this.#generation;
    return new Engine({
      clock: {
        now: () => this.clock.now(),
        at: (atMs, callback) => (isGone() ? () => undefined : this.clock.at(atMs, callback)),
      },
      ids: this.ids,
      store: this.store,
      catalogue: this.actions,
      local: this.actions,
      outbox: this.#makeOutbox(isGone),
      schedule: (turn) => void (isGone() || this.#turns.push(turn)),
      world: `world-${generation + 1}`,
      outputLimitBytes: 1_000_000,
      onRest: (plan) => void (isGone() || this.rested.push(plan)),
      onFault: (message) => void (isGone() || this.faults.push(message)),
      ...this.#options,
    });
  }

  #makeOutbox(isGone: () => boolean): Outbox {
    const never = async <T>(): Promise<T> => new Promise<T>(() => undefined);
    return {
      publishTokens: (tokens) => void (isGone() || this.tokens.push(...tokens)),
      tell: async (plugin, executor, message) => {
        if (isGone()) {
          return never();
        }
        this.told.push({ plugin, executor, message });
        return this.executor(plugin, executor).receive(message);
      },
      perform: async (action, name, payload) => {
        if (isGone()) {
          return never();
        }
        const effect: PerformedEffect = { action, name, payload };
        this.effects.push(effect);
        return this.perform(effect);
      },
      askDelay: async (declaration, input, schedule) => {
        if (isGone()) {
          return never();
        }
        if (this.arePlannersAway) {
          throw new UnavailableError('DYN_NO_EXECUTOR', 'nobody answers');
        }
        return this.actions.delay(declaration.name, input, schedule);
      },
      askPlan: async (declaration, input) => {
        if (isGone()) {
          return never();
        }
        if (this.arePlannersAway) {
          throw new UnavailableError('DYN_NO_EXECUTOR', 'nobody answers');
        }
        return this.actions.plan(declaration.name, input);
      },
    };
  }
}
