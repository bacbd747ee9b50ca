import { DynflowError, NotFoundError, UnavailableError, messageOf, type Clock, type IdSource, type JsonObject, type JsonValue } from '@dynflow/kernel';
import {
  pluginOf,
  type ClaimRequestV1,
  type LocalInvocation,
  type OutputV1,
  type PlanNode,
  type RefusalV1,
  type ReportV1,
  type StepErrorV1,
  type StepTokenV1,
  type SubPlanRequest,
} from '@dynflow/contracts';
import { Director, cancelMessage } from './director.js';
import { applyOutput, applyReport, decideClaim, type SealedGrant } from './executor-messages.js';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import { buildFailedPlan, buildPlan, buildPlanInPlanning, type PlanHeader } from './plan-builder.js';
import { UnknownActionError, expandPlan, type Expansion } from './plan-expansion.js';
import type { ActionCatalogue, LocalRunner, Outbox, PlanStore, TurnScheduler } from './ports.js';
import { ReferenceResolver } from './references.js';
import { planFromRows, type StoredPlan } from './rows.js';
import { resultOf, type PlanResult, type PlanState } from './states.js';
import { SubPlans } from './sub-plans.js';
import { Turn, tokenOf, type EffectRequest } from './turn.js';

/** A plan to be made: the request of a caller, with where it came from. */
export interface TriggerInput extends SubPlanRequest {
  callerPlan?: string;
  callerAction?: number;
  concurrencyLimit?: number | null;
}

/** A plan that came to rest. */
export interface RestedPlan {
  readonly id: string;
  readonly state: PlanState;
  readonly result: PlanResult;
}

export interface EngineOptions {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: PlanStore;
  readonly catalogue: ActionCatalogue;
  readonly local: LocalRunner;
  readonly outbox: Outbox;
  readonly schedule: TurnScheduler;
  /** Written into the history of plans: which process it was. */
  readonly world: string;
  /** Bytes of output that are kept of one step; what comes after is dropped, with one line that says so. */
  readonly outputLimitBytes: number;
  /** Told of every plan that comes to rest, after the commit. */
  readonly onRest?: (plan: RestedPlan) => void;
  /** Told of faults that no caller waits for. */
  readonly onFault?: (message: string, error: unknown) => void;
}

/** How long to wait before something that is away is tried again. */
const RETRY_AFTER_MS = 1_000;

/**
 * Runs plans. All that happens is put to it as an input; the inputs of one turn are decided together, committed together in one
 * transaction, and only then answered and sent out (group commit).
 *
 * Owns: the plans of its shards that are not at rest, and when they change. Does not own: time, threads, the database, the bus.
 *
 * Guarantees:
 * E1. Whatever is answered or sent has been committed. An input whose turn could not be committed is refused with the store's error,
 *     and its plans are read again from the store: memory never runs ahead of it.
 * E2. Plans at rest leave memory.
 * E3. Inputs take effect in the order in which they were put.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #director: Director;
  readonly #resolver: ReferenceResolver;
  readonly #subPlans = new SubPlans();
  readonly #plans = new Map<string, Plan>();
  readonly #timers = new Map<string, () => void>();
  #inputs: Input[] = [];
  #isTurnDue = false;
  #isCommitting = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#resolver = new ReferenceResolver(options.store);
    this.#director = new Director({
      catalogue: options.catalogue,
      subPlans: this.#subPlans,
      world: options.world,
      isActive: (plan) => plan !== null && this.#plans.has(plan),
    });
  }

  /** Loads what an earlier process left unfinished and goes on with it. Call it once, before anything else. */
  async start(): Promise<void> {
    const stored = await this.#options.store.loadUnfinished();
    await this.#put((turn) => {
      for (const plan of stored) {
        this.#adopt(plan, turn);
      }
    });
  }

  /** Ids of the plans in memory. */
  get activePlans(): number {
    return this.#plans.size;
  }

  /**
   * Makes a plan and starts it; resolved when that is committed. With an id of the caller's it is idempotent: a plan that exists is
   * left alone and `created` is false. A plan whose planning fails exists all the same, `stopped` with result `error`; `error` says why.
   *
   * @throws UnknownActionError if nobody declares the action; UnavailableError if the store cannot be written.
   */
  async trigger(request: TriggerInput): Promise<{ plan: string; created: boolean; error?: StepErrorV1 }> {
    if (this.#options.catalogue.declarationOf(request.action) === undefined) {
      throw new UnknownActionError(request.action);
    }
    const existing = request.id === undefined ? new Set<string>() : await this.#options.store.existing([request.id]);
    return this.#put((turn) => this.#makePlan(request, existing, turn));
  }

  /** Decides on claims; every grant is committed before this resolves. The plugin is the subject's, never the message's. */
  async claim(plugin: string, request: ClaimRequestV1): Promise<(SealedGrant | RefusalV1)[]> {
    const answers = await this.#put((turn) =>
      request.claims.map((claim) => ({
        answer: decideClaim({ plan: this.#plans.get(claim.plan), plugin, request, claim, director: this.#director, turn }),
        plan: this.#plans.get(claim.plan),
      })),
    );
    return Promise.all(
      answers.map(async ({ answer, plan }) => {
        if (answer.result === 'refused' || plan === undefined) {
          return answer;
        }
        const action = actionOf(plan, stepOf(plan, answer.step).action);
        return action.references.length === 0 ? answer : { ...answer, input: await this.#resolver.resolveInput(plan, action) };
      }),
    );
  }

  /** Applies outcomes; resolved when they are committed (or known to be stale), so that their message may be acknowledged. */
  async report(plugin: string, message: ReportV1): Promise<void> {
    await this.#put((turn) => {
      for (const report of message.reports) {
        const limit = this.#options.outputLimitBytes;
        applyReport({ plan: this.#plans.get(report.plan), plugin, message, report, director: this.#director, turn, outputLimitBytes: limit });
      }
    });
  }

  /** Stores live output. Resolved when it is committed; the executor is told then. */
  async output(plugin: string, message: OutputV1): Promise<void> {
    await this.#put((turn) => {
      for (const output of message.output) {
        const limit = this.#options.outputLimitBytes;
        applyOutput({ plan: this.#plans.get(output.plan), plugin, executor: message.executor, output, turn, outputLimitBytes: limit });
      }
    });
  }

  /**
   * Sends an event to a step that is running or suspended. It is stored until a held step's executor has received it.
   *
   * @returns false when the step cannot take events any more (or the plan is at rest).
   */
  async sendEvent(planId: string, stepId: number, data: JsonValue): Promise<boolean> {
    return this.#put((turn) => {
      const plan = this.#plans.get(planId);
      const step = plan?.steps[stepId - 1];
      if (plan === undefined || step === undefined) {
        return false;
      }
      if (step.state.name !== 'running' && step.state.name !== 'suspended') {
        return false;
      }
      const { name } = actionOf(plan, step.action).declaration;
      if (this.#options.catalogue.isLocal(name)) {
        this.#director.wake(plan, step, { kind: 'external', data }, turn);
        return true;
      }
      step.events.push(data);
      turn.touchStep(plan, step);
      if (step.state.name === 'running' && step.state.claim !== null) {
        const event = { kind: 'external' as const, id: this.#options.ids.uuid(), data };
        const message = { type: 'step.event' as const, version: 1 as const, claim: step.state.claim.id, event };
        turn.events.push({ plugin: pluginOf(name), executor: step.state.claim.executor, plan: plan.id, step: step.id, message });
      } else {
        this.#director.wake(plan, step, undefined, turn);
      }
      return true;
    });
  }

  /**
   * Cancels a plan and its running sub-plans. Stored before anybody is told.
   *
   * @returns how many steps were told or ended; null if the plan is not active here (at rest, or unknown).
   */
  async cancel(planId: string, options: { force?: boolean } = {}): Promise<number | null> {
    return this.#put((turn) => {
      const plan = this.#plans.get(planId);
      if (plan === undefined) {
        return null;
      }
      const family = this.#subPlans.activeOf(planId);
      let told = this.#director.cancel(plan, options.force ?? false, turn);
      for (const child of family) {
        const childPlan = this.#plans.get(child);
        told += childPlan === undefined ? 0 : this.#director.cancel(childPlan, options.force ?? false, turn);
      }
      return told;
    });
  }

  /** Lets a paused plan go on. @throws NotFoundError for an unknown plan, PlanNotPausedError. */
  async resume(planId: string): Promise<void> {
    const stored = await this.#options.store.load(planId);
    await this.#put((turn) => {
      const plan = this.#pausedPlan(planId, stored);
      this.#plans.set(plan.id, plan);
      this.#subPlans.admit(plan);
      this.#director.resume(plan, turn);
    });
  }

  /** Skips a failed step of a paused plan, with all that need its output. @throws as {@link resume}. @returns the skipped steps. */
  async skip(planId: string, stepId: number): Promise<number[]> {
    const stored = await this.#options.store.load(planId);
    return this.#put((turn) => {
      const plan = this.#pausedPlan(planId, stored);
      const step = plan.steps[stepId - 1];
      if (step === undefined) {
        throw new NotFoundError('DYN_STEP_NOT_FOUND', `the plan ${planId} has no step ${stepId}`);
      }
      return this.#director.skip(plan, step, turn);
    });
  }

  /**
   * Some processes of an executor are known to be gone: whatever they held is lost, at once.
   *
   * @param isGone tells by start id and claim id whether the holder of a step is gone.
   */
  async executorLost(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean): Promise<number> {
    return this.#put((turn) => {
      let lost = 0;
      for (const plan of [...this.#plans.values()]) {
        for (const step of plan.steps) {
          const { state } = step;
          if (state.name !== 'running' || state.claim === null || state.claim.executor !== executor) {
            continue;
          }
          if (pluginOf(actionOf(plan, step.action).declaration.name) === plugin && isGone(state.claim.startId, state.claim.id)) {
            this.#director.stepLost(plan, step, turn);
            lost += 1;
          }
        }
      }
      return lost;
    });
  }

  /** An executor said what it holds: steps among these that are to be cancelled are told again. */
  async remind(held: readonly { plan: string; step: number; claim: string }[]): Promise<void> {
    const isAsked = held.some(({ plan, step }) => this.#plans.get(plan)?.steps[step - 1]?.isCancelRequested === true);
    if (!isAsked) {
      return;
    }
    await this.#put((turn) => {
      for (const { plan: planId, step: stepId, claim } of held) {
        const plan = this.#plans.get(planId);
        const step = plan?.steps[stepId - 1];
        if (plan !== undefined && step?.state.name === 'running' && step.isCancelRequested && step.state.claim?.id === claim) {
          turn.events.push(cancelMessage(plan, step, step.state.claim, actionOf(plan, step.action).declaration.name, false));
        }
      }
    });
  }

  /** Tokens of all steps that are ready now: what the loop that re-publishes works from. */
  readyTokens(): { plugin: string; queue: string; token: StepTokenV1 }[] {
    const tokens = [];
    for (const plan of this.#plans.values()) {
      if (plan.state === 'running') {
        for (const step of plan.steps) {
          if (step.isReady) {
            tokens.push(tokenOf(plan, step));
          }
        }
      }
    }
    return tokens;
  }

  // --- turns ---------------------------------------------------------------------------------------------------------------------

  #put<T>(decide: (turn: Turn) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#inputs.push({ decide, resolve: resolve as (value: unknown) => void, reject });
      this.#requestTurn();
    });
  }

  #requestTurn(): void {
    if (!this.#isTurnDue && !this.#isCommitting && this.#inputs.length > 0) {
      this.#isTurnDue = true;
      this.#options.schedule(() => this.#runTurn());
    }
  }

  #runTurn(): void {
    this.#isTurnDue = false;
    const inputs = this.#inputs;
    this.#inputs = [];
    const turn = new Turn(this.#options.clock.now());
    const answers: (() => void)[] = [];
    for (const input of inputs) {
      try {
        const value = input.decide(turn);
        answers.push(() => input.resolve(value));
      } catch (error) {
        // The input is refused; what it changed before it threw is a defect and would be committed with the rest, so decisions check first.
        answers.push(() => input.reject(error));
      }
    }
    this.#invokeLocalActions(turn);
    const succeed = (): void => {
      for (const answer of answers) {
        answer();
      }
      this.#send(turn);
    };
    const fail = (error: unknown): void => {
      for (const input of inputs) {
        input.reject(error);
      }
      this.#recover(turn, error);
    };
    if (!turn.hasChanges) {
      succeed();
      return;
    }
    try {
      const committed = this.#options.store.commit(turn.changes());
      if (committed === undefined) {
        succeed();
        return;
      }
      this.#isCommitting = true;
      void committed.then(succeed, fail).finally(() => {
        this.#isCommitting = false;
        this.#requestTurn();
      });
    } catch (error) {
      fail(error);
    }
  }

  /** Local actions run in the turn that made them ready; what they decide may make more ready. */
  #invokeLocalActions(turn: Turn): void {
    const told = new Set<string>();
    for (let index = 0; index < turn.invocations.length || this.#tellCallers(turn, told); index += 1) {
      const invocation = turn.invocations[index];
      if (invocation !== undefined) {
        this.#invokeLocalAction(invocation.plan, invocation.step, invocation.event, turn);
      }
    }
  }

  /** Sub-plans that came to rest are an event for the action that made them, once a turn. @returns true if that added invocations. */
  #tellCallers(turn: Turn, told: Set<string>): boolean {
    const before = turn.invocations.length;
    for (const child of turn.rested) {
      const caller = child.callerPlan === null ? undefined : this.#plans.get(child.callerPlan);
      const counts = child.callerPlan === null ? undefined : this.#subPlans.countsOf(child.callerPlan);
      if (caller === undefined || counts === undefined || child.callerAction === null || told.has(caller.id)) {
        continue;
      }
      told.add(caller.id);
      const { runStep } = actionOf(caller, child.callerAction);
      if (runStep !== null && stepOf(caller, runStep).state.name === 'suspended') {
        turn.invocations.push({ plan: caller, step: stepOf(caller, runStep), event: { kind: 'subPlans', counts } });
      }
    }
    return turn.invocations.length > before;
  }

  #invokeLocalAction(plan: Plan, step: Step, event: LocalInvocation['event'], turn: Turn): void {
    if (plan.state !== 'running') {
      return;
    }
    const action = actionOf(plan, step.action);
    const { name } = step.state;
    if (name === 'success' || name === 'skipped' || name === 'cancelled') {
      return;
    }
    if (name !== 'running') {
      moveStep(plan, step, { name: 'running', claim: null }, turn);
    }
    try {
      const { outcome, commands } = this.#options.local.run(action.declaration.name, {
        plan: plan.id,
        step: step.id,
        attempt: step.attempt,
        nowMs: turn.nowMs,
        input: this.#resolver.resolveInTurn(plan, action),
        output: action.output,
        checkpoint: step.checkpoint,
        sealedSecrets: plan.sealedSecrets ?? undefined,
        event,
      });
      this.#director.localOutcome(plan, step, outcome, turn);
      for (const command of commands) {
        if (command.kind === 'effect') {
          const { name: effect, payload } = command;
          turn.effects.push({ plan: plan.id, step: step.id, attempt: step.attempt, action: action.declaration.name, name: effect, payload });
        } else {
          turn.spawns.push({ parent: plan, action: action.id, children: command.children, concurrencyLimit: command.concurrencyLimit ?? null });
        }
      }
    } catch (error) {
      this.#options.onFault?.(`the local action ${action.declaration.name} threw`, error);
      const errorClass = error instanceof Error ? error.name : 'Error';
      this.#director.stepFailed(plan, step, { errorClass, message: messageOf(error), kind: 'final' }, undefined, turn);
    }
  }

  /** All that follows a commit. */
  #send(turn: Turn): void {
    const { outbox, clock, onRest } = this.#options;
    for (const plan of turn.rested) {
      this.#plans.delete(plan.id);
      this.#subPlans.callerRests(plan.id);
      this.#cancelTimersOf(plan);
      onRest?.({ id: plan.id, state: plan.state, result: resultOf(plan.tally) });
    }
    const tokens = turn.tokens();
    if (tokens.length > 0) {
      outbox.publishTokens(tokens);
    }
    for (const { plugin, executor, message } of turn.confirmations()) {
      void outbox.tell(plugin, executor, message);
    }
    for (const event of turn.events) {
      void this.#deliver(event);
    }
    for (const timer of turn.timers) {
      const key = `${timer.plan}/${timer.step}`;
      this.#timers.get(key)?.();
      this.#timers.set(
        key,
        clock.at(timer.atMs, () => void this.#timerRang(key, timer.plan, timer.step, timer.attempt)),
      );
    }
    for (const effect of turn.effects) {
      void this.#perform(effect);
    }
    for (const spawn of turn.spawns) {
      void this.#spawn(spawn);
    }
  }

  async #deliver(event: Turn['events'][number]): Promise<void> {
    const isReceived = await this.#options.outbox.tell(event.plugin, event.executor, event.message);
    if (!isReceived || event.message.event.kind !== 'external') {
      return;
    }
    const { data } = event.message.event;
    await this.#put((turn) => {
      const plan = this.#plans.get(event.plan);
      const step = plan?.steps[event.step - 1];
      if (plan !== undefined && step !== undefined) {
        step.events = step.events.filter((stored) => stored !== data);
        turn.touchStep(plan, step);
      }
    }).catch((error: unknown) => this.#options.onFault?.('a delivered event could not be marked', error));
  }

  async #timerRang(key: string, planId: string, stepId: number, attempt: number): Promise<void> {
    this.#timers.delete(key);
    await this.#put((turn) => {
      const plan = this.#plans.get(planId);
      const step = plan?.steps[stepId - 1];
      if (plan !== undefined && step?.state.name === 'suspended' && step.attempt === attempt) {
        this.#director.wake(plan, step, { kind: 'timer' }, turn);
      }
    }).catch(() => {
      // The store is away: the timer's time has come all the same, and it rings again until it could be stored.
      this.#timers.set(
        key,
        this.#options.clock.at(this.#options.clock.now() + RETRY_AFTER_MS, () => void this.#timerRang(key, planId, stepId, attempt)),
      );
    });
  }

  async #perform(effect: EffectRequest): Promise<void> {
    const { outbox, clock } = this.#options;
    let event: LocalInvocation['event'];
    try {
      const plan = this.#plans.get(effect.plan);
      const step = plan?.steps[effect.step - 1];
      const payload =
        plan === undefined || step === undefined
          ? effect.payload
          : await this.#resolver.resolvePayload(plan, actionOf(plan, step.action), effect.payload);
      event = { kind: 'effect', name: effect.name, ok: true, value: await outbox.perform(effect.action, effect.name, payload) };
    } catch (error) {
      event = { kind: 'effect', name: effect.name, ok: false, error: errorOf(error) };
    }
    const tell = async (): Promise<void> => {
      await this.#put((turn) => {
        const plan = this.#plans.get(effect.plan);
        const step = plan?.steps[effect.step - 1];
        if (plan !== undefined && step?.state.name === 'suspended' && step.attempt === effect.attempt) {
          this.#director.wake(plan, step, event, turn);
        }
      }).catch(() => void clock.at(clock.now() + RETRY_AFTER_MS, () => void tell()));
    };
    await tell();
  }

  /** Makes the sub-plans that a local action asked for; the action is invoked in the same turn, so that both are committed together. */
  async #spawn(spawn: Turn['spawns'][number]): Promise<void> {
    const { store, clock } = this.#options;
    const { parent, action } = spawn;
    try {
      const ids = spawn.children.flatMap((child) => (child.id === undefined ? [] : [child.id]));
      const existing = await store.existing(ids);
      await this.#put((turn) => {
        const { runStep } = actionOf(parent, action);
        const step = runStep === null ? undefined : stepOf(parent, runStep);
        if (this.#plans.get(parent.id) !== parent || step?.state.name !== 'suspended') {
          return;
        }
        const { concurrencyLimit } = spawn;
        const plans = spawn.children.map(
          (child) => this.#makePlan({ ...child, callerPlan: parent.id, callerAction: action, concurrencyLimit }, existing, turn).plan,
        );
        turn.invocations.push({ plan: parent, step, event: { kind: 'spawned', plans } });
      });
    } catch (error) {
      this.#options.onFault?.(`sub-plans of ${parent.id} could not be made; trying again`, error);
      clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#spawn(spawn));
    }
  }

  // --- planning ------------------------------------------------------------------------------------------------------------------

  #makePlan(request: TriggerInput, existing: ReadonlySet<string>, turn: Turn): { plan: string; created: boolean; error?: StepErrorV1 } {
    const id = request.id ?? this.#options.ids.uuid();
    if (this.#plans.has(id) || existing.has(id)) {
      return { plan: id, created: false };
    }
    const header = this.#headerOf(id, request, turn);
    try {
      const expansion = expandPlan(request.action, request.input, (name) => this.#options.catalogue.declarationOf(name));
      if (expansion.asked.length > 0) {
        const plan = buildPlanInPlanning(header, { action: request.action, input: request.input });
        turn.addPlan(plan);
        this.#plans.set(id, plan);
        this.#subPlans.admit(plan);
        void this.#askForPlan(plan, expansion, new Map());
      } else {
        const plan = buildPlan(header, expansion.root);
        turn.addPlan(plan);
        this.#startNew(plan, turn);
      }
      return { plan: id, created: true };
    } catch (error) {
      const stepError = errorOf(error);
      const declaration = this.#options.catalogue.declarationOf(request.action);
      if (declaration === undefined) {
        throw error;
      }
      const plan = buildFailedPlan(header, declaration, request.input, stepError);
      turn.addPlan(plan);
      turn.rested.add(plan);
      return { plan: id, created: true, error: stepError };
    }
  }

  #headerOf(id: string, request: TriggerInput, turn: Turn): PlanHeader {
    return {
      id,
      shard: 0,
      label: request.label ?? request.action,
      callerPlan: request.callerPlan ?? null,
      callerAction: request.callerAction ?? null,
      isExternal: request.isExternal ?? false,
      concurrencyLimit: request.concurrencyLimit ?? null,
      sealedSecrets: request.sealedSecrets ?? null,
      nowMs: turn.nowMs,
    };
  }

  #startNew(plan: Plan, turn: Turn): void {
    this.#plans.set(plan.id, plan);
    if (this.#subPlans.admit(plan)) {
      this.#director.start(plan, turn);
    }
  }

  /** Asks executors until the whole tree is known, then makes the plan. While none answers the plan waits in `planning`. */
  async #askForPlan(plan: Plan, expansion: Expansion, answers: Map<string, PlanNode[]>): Promise<void> {
    const { outbox, clock, catalogue } = this.#options;
    const { request } = plan;
    if (request === null || this.#plans.get(plan.id) !== plan) {
      return;
    }
    try {
      for (const asked of expansion.asked) {
        const answer = await outbox.askPlan(asked.declaration, asked.input);
        if ('error' in answer) {
          throw new PlanningFailed(answer.error);
        }
        answers.set(asked.key, answer.nodes);
      }
      const next = expandPlan(request.action, request.input, (name) => catalogue.declarationOf(name), answers);
      if (next.asked.length > 0) {
        await this.#askForPlan(plan, next, answers);
        return;
      }
      await this.#put((turn) => this.#finishPlanning(plan, (header) => buildPlan(header, next.root), turn));
    } catch (error) {
      if (error instanceof UnavailableError) {
        clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#askForPlan(plan, expansion, answers));
        return;
      }
      await this.#put((turn) => this.#failPlanning(plan, request, errorOf(error), turn)).catch((fault: unknown) =>
        this.#options.onFault?.('a failed planning could not be recorded', fault),
      );
    }
  }

  #finishPlanning(stub: Plan, build: (header: PlanHeader) => Plan, turn: Turn): void {
    if (this.#plans.get(stub.id) !== stub) {
      return;
    }
    const plan = build({ ...stub, nowMs: turn.nowMs });
    this.#subPlans.forget(stub);
    turn.addPlanned(stub, plan);
    this.#startNew(plan, turn);
  }

  #failPlanning(stub: Plan, request: { action: string; input: JsonObject }, error: StepErrorV1, turn: Turn): void {
    const declaration = this.#options.catalogue.declarationOf(request.action);
    if (this.#plans.get(stub.id) !== stub || declaration === undefined) {
      return;
    }
    const plan = buildFailedPlan({ ...stub, nowMs: turn.nowMs }, declaration, request.input, error);
    turn.addPlanned(stub, plan);
    turn.rested.add(plan);
    this.#subPlans.release(stub, true);
  }

  // --- loading -------------------------------------------------------------------------------------------------------------------

  #adopt(stored: StoredPlan, turn: Turn): void {
    const { catalogue } = this.#options;
    const plan = planFromRows(stored, (name, version) => catalogue.declarationOf(name, version));
    this.#plans.set(plan.id, plan);
    const mayStart = this.#subPlans.admit(plan);
    switch (plan.state) {
      case 'planning':
        if (plan.request !== null) {
          const { request } = plan;
          const expansion = expandPlan(request.action, request.input, (name) => catalogue.declarationOf(name));
          void this.#askForPlan(plan, expansion, new Map());
        }
        return;
      case 'planned':
        if (mayStart) {
          this.#director.start(plan, turn);
        }
        return;
      case 'running':
        this.#director.walk(plan, turn);
        return;
      case 'pending':
      case 'scheduled':
      case 'paused':
      case 'stopped':
        return;
    }
  }

  #pausedPlan(id: string, stored: StoredPlan | null): Plan {
    const active = this.#plans.get(id);
    if (active !== undefined) {
      throw new PlanNotPausedError(id, active.state);
    }
    if (stored === null) {
      throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no plan ${id}`);
    }
    const plan = planFromRows(stored, (name, version) => this.#options.catalogue.declarationOf(name, version));
    if (plan.state !== 'paused') {
      throw new PlanNotPausedError(id, plan.state);
    }
    return plan;
  }

  /** A turn could not be committed: everything that it touched is read again, so that memory and store agree. */
  #recover(turn: Turn, error: unknown): void {
    const { onFault, clock, store } = this.#options;
    onFault?.('a turn could not be committed; its plans are read again', error);
    const touched = [...turn.touchedPlans];
    for (const plan of touched) {
      this.#plans.delete(plan.id);
      this.#subPlans.forget(plan);
      this.#cancelTimersOf(plan);
    }
    const reload = async (id: string): Promise<void> => {
      try {
        const stored = await store.load(id);
        if (stored !== null && stored.plan.state !== 'stopped' && stored.plan.state !== 'paused') {
          await this.#put((next) => this.#adopt(stored, next));
        }
      } catch {
        clock.at(clock.now() + RETRY_AFTER_MS, () => void reload(id));
      }
    };
    for (const plan of touched) {
      if (!turn.isNew(plan)) {
        void reload(plan.id);
      }
    }
  }

  #cancelTimersOf(plan: Plan): void {
    for (const step of plan.steps) {
      const key = `${plan.id}/${step.id}`;
      this.#timers.get(key)?.();
      this.#timers.delete(key);
    }
  }
}

/** Thrown by resume and skip: they are only for plans that are paused. */
export class PlanNotPausedError extends DynflowError {
  constructor(plan: string, state: PlanState) {
    super('DYN_PLAN_NOT_PAUSED', `the plan ${plan} is ${state}; only a paused plan can be resumed or skipped`, { context: { plan, state } });
  }
}

interface Input {
  readonly decide: (turn: Turn) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Carries the error that an executor answered when it was asked for a plan. */
class PlanningFailed extends Error {
  constructor(readonly stepError: StepErrorV1) {
    super(stepError.message);
  }
}

function errorOf(error: unknown): StepErrorV1 {
  if (error instanceof PlanningFailed) {
    return error.stepError;
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const isRetryable = error instanceof Error && 'retryable' in error && error.retryable === true;
  return { errorClass: error instanceof Error ? error.name : 'Error', message: messageOf(error), ...code, kind: isRetryable ? 'retryable' : 'final' };
}

