import {
  DynflowError,
  NotFoundError,
  UnavailableError,
  messageOf,
  type Clock,
  type IdSource,
  type JsonObject,
  type JsonValue,
} from '@dynflow/kernel';
import {
  pluginOf,
  type ActionDeclaration,
  type ClaimRequestV1,
  type ExecutorMessage,
  type LocalInvocation,
  type LocalResult,
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
import { actionOf, stepOf, type Claim, type Plan, type Step, type StoredEvent } from './model.js';
import { moveStep } from './moves.js';
import { buildFailedPlan, buildPlan, buildPlanInPlanning, type PlanHeader } from './plan-builder.js';
import { UnknownActionError, expandPlan, type Expansion } from './plan-expansion.js';
import type { ActionCatalogue, LocalRunner, Outbox, PlanStore, TurnScheduler } from './ports.js';
import { ReferenceResolver } from './references.js';
import { missingDeclaration, planFromRows, type StoredPlan } from './rows.js';
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
/** A grant may be on its way, or asked for again, for so long; what an executor does not name after it, it does not have. */
const GRANT_SETTLES_MS = 30_000;

/**
 * Runs plans. All that happens is put to it as an input; the inputs of one turn are decided together, committed together in one
 * transaction, and only then answered and sent out (group commit).
 *
 * Owns: the plans of its shards that are not at rest, and when they change. Does not own: time, threads, the database, the bus.
 *
 * Guarantees:
 * E1. Whatever is answered or sent has been committed. An input whose turn could not be committed is refused with the store's error,
 *     and its plans are read again from the store: memory never runs ahead of it. Until a plan has been read, inputs for it are refused
 *     as retryable: nothing that happened to it is taken for stale.
 * E2. Plans at rest leave memory.
 * E3. Inputs take effect in the order in which they were put. What must look into the store first (trigger with an id, resume, skip)
 *     waits for whatever of that kind was asked before it for the same plan.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #director: Director;
  readonly #resolver: ReferenceResolver;
  readonly #subPlans = new SubPlans();
  readonly #plans = new Map<string, Plan>();
  readonly #timers = new Map<string, () => void>();
  /** Claims that their holder did not name the last time. */
  readonly #missedClaims = new Set<string>();
  /** Plans of a turn that could not be committed, until they have been read again. */
  readonly #unread = new Set<string>();
  #onAllRead: (() => void)[] = [];
  /** The last of those who wait for each other, by plan (E3). */
  readonly #lastInLine = new Map<string, Promise<unknown>>();
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
      planOf: (plan) => (plan === null ? undefined : this.#plans.get(plan)),
    });
  }

  /** Loads what an earlier process left unfinished and goes on with it. Call it once, before anything else. */
  async start(): Promise<void> {
    const stored = await this.#options.store.loadUnfinished();
    // Running sub-plans first: they hold their places under a limit, whatever the age of those that wait.
    const isRunning = (plan: StoredPlan): number => (plan.plan.state === 'running' ? 0 : 1);
    await this.#put((turn) => {
      for (const plan of stored.toSorted((a, b) => isRunning(a) - isRunning(b))) {
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
    const ids = request.id === undefined ? [] : [request.id];
    return this.#inLine(ids, async () => {
      const existing = ids.length === 0 ? new Set<string>() : await this.#options.store.existing(ids);
      return this.#put((turn) => {
        this.#assertRead(ids);
        return this.#makePlan(request, existing, turn);
      });
    });
  }

  /**
   * Decides on claims; every grant is committed before this resolves. The plugin is the subject's, never the message's.
   *
   * @throws UnavailableError if that cannot be said now (also by {@link report}, {@link output} and all that address a plan).
   */
  async claim(plugin: string, request: ClaimRequestV1): Promise<(SealedGrant | RefusalV1)[]> {
    const answers = await this.#put((turn) => {
      this.#assertRead(request.claims.map(({ plan }) => plan));
      return request.claims.map((claim) => ({
        answer: decideClaim({ plan: this.#plans.get(claim.plan), plugin, request, claim, director: this.#director, turn }),
        plan: this.#plans.get(claim.plan),
      }));
    });
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
      this.#assertRead(message.reports.map(({ plan }) => plan));
      for (const report of message.reports) {
        const limit = this.#options.outputLimitBytes;
        applyReport({
          plan: this.#plans.get(report.plan),
          plugin,
          message,
          report,
          director: this.#director,
          turn,
          outputLimitBytes: limit,
        });
      }
    });
  }

  /** Stores live output. Resolved when it is committed; the executor is told then. */
  async output(plugin: string, message: OutputV1): Promise<void> {
    await this.#put((turn) => {
      this.#assertRead(message.output.map(({ plan }) => plan));
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
      this.#assertRead([planId]);
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
      const event: StoredEvent = { id: this.#options.ids.uuid(), data };
      step.events.push(event);
      turn.touchStep(plan, step);
      if (step.state.name === 'running' && step.state.claim !== null) {
        turn.events.push(eventMessage(plan, step, step.state.claim, name, event));
      } else {
        this.#director.wake(plan, step, undefined, turn);
      }
      return true;
    });
  }

  /**
   * Cancels a plan with its sub-plans and theirs. Stored before anybody is told.
   *
   * @returns how many steps were told or ended; null if the plan is not active here (at rest, or unknown).
   */
  async cancel(planId: string, options: { force?: boolean } = {}): Promise<number | null> {
    return this.#put((turn) => {
      const family = [planId];
      // The list grows while it is gone through.
      for (const member of family) {
        family.push(...this.#subPlans.activeOf(member));
      }
      this.#assertRead(family);
      if (!this.#plans.has(planId)) {
        return null;
      }
      let told = 0;
      for (const member of family) {
        const plan = this.#plans.get(member);
        told += plan === undefined ? 0 : this.#director.cancel(plan, options.force ?? false, turn);
      }
      return told;
    });
  }

  /** Lets a paused plan go on. @throws NotFoundError for an unknown plan, PlanNotPausedError. */
  async resume(planId: string): Promise<void> {
    await this.#inLine([planId], async () => {
      const stored = await this.#options.store.load(planId);
      await this.#put((turn) => {
        const plan = this.#pausedPlan(planId, stored);
        this.#plans.set(plan.id, plan);
        this.#subPlans.admit(plan);
        this.#noteCounts(plan, turn);
        this.#director.resume(plan, turn);
      });
    });
  }

  /** Skips a failed step of a paused plan, with all that need its output. @throws as {@link resume}. @returns the skipped steps. */
  async skip(planId: string, stepId: number): Promise<number[]> {
    return this.#inLine([planId], async () => {
      const stored = await this.#options.store.load(planId);
      return this.#put((turn) => {
        const plan = this.#pausedPlan(planId, stored);
        const step = plan.steps[stepId - 1];
        if (step === undefined) {
          throw new NotFoundError('DYN_STEP_NOT_FOUND', `the plan ${planId} has no step ${stepId}`);
        }
        return this.#director.skip(plan, step, turn);
      });
    });
  }

  /**
   * Some processes of an executor are known to be gone: whatever they held is lost, at once.
   *
   * @param isGone tells by start id and claim id whether the holder of a step is gone.
   */
  async executorLost(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean): Promise<number> {
    let answer: number | null = null;
    while (answer === null) {
      // Who is lost is not found out a second time, so plans that are being read again are waited for.
      await this.#whenAllRead();
      answer = await this.#put((turn) => (this.#unread.size > 0 ? null : this.#takeFrom(plugin, executor, isGone, turn)));
    }
    return answer;
  }

  #takeFrom(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean, turn: Turn): number {
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
  }

  /** Who holds running steps now, each process of an executor once. */
  claimHolders(): { plugin: string; executor: string; startId: string }[] {
    const holders = new Map<string, { plugin: string; executor: string; startId: string }>();
    for (const { action, claim } of this.#claimedSteps()) {
      const holder = { plugin: pluginOf(action), executor: claim.executor, startId: claim.startId };
      holders.set(JSON.stringify(holder), holder);
    }
    return [...holders.values()];
  }

  /**
   * A process of an executor said all that it holds. A step that it was granted a while ago and does not name, twice in a row, was never
   * begun, because its grant was lost: it is given to whoever claims it next.
   */
  async reconcile(plugin: string, holder: { executor: string; startId: string }, held: readonly string[]): Promise<void> {
    const named = new Set(held);
    const missing: ClaimedStep[] = [];
    const isOver = new Set(this.#missedClaims);
    for (const claimed of this.#claimedSteps()) {
      const { claim, step, action } = claimed;
      isOver.delete(claim.id);
      const isTheirs = claim.executor === holder.executor && claim.startId === holder.startId && pluginOf(action) === plugin;
      const isSettled = this.#options.clock.now() - (step.invokedAtMs ?? 0) > GRANT_SETTLES_MS;
      if (!isTheirs) {
        continue;
      }
      if (named.has(claim.id) || !isSettled) {
        this.#missedClaims.delete(claim.id);
      } else if (this.#missedClaims.delete(claim.id)) {
        missing.push(claimed);
      } else {
        this.#missedClaims.add(claim.id);
      }
    }
    isOver.forEach((claim) => this.#missedClaims.delete(claim));
    if (missing.length > 0) {
      await this.#put((turn) => {
        for (const { plan, step, claim } of missing) {
          if (step.state.name === 'running' && step.state.claim === claim) {
            this.#director.stepNeverBegan(plan, step, turn);
          }
        }
      });
    }
  }

  *#claimedSteps(): Generator<ClaimedStep> {
    for (const plan of this.#plans.values()) {
      if (plan.tally.running === 0) {
        continue;
      }
      for (const step of plan.steps) {
        if (step.state.name === 'running' && step.state.claim !== null) {
          yield { plan, step, claim: step.state.claim, action: actionOf(plan, step.action).declaration.name };
        }
      }
    }
  }

  /** An executor said what it holds: steps among these that are to be cancelled, or have events that it did not receive, are told again. */
  async remind(held: readonly { plan: string; step: number; claim: string }[]): Promise<void> {
    const isAsked = ({ plan, step }: { plan: string; step: number }): boolean => {
      const known = this.#plans.get(plan)?.steps[step - 1];
      return known !== undefined && (known.isCancelRequested || known.events.length > 0);
    };
    if (!held.some(isAsked)) {
      return;
    }
    await this.#put((turn) => {
      for (const { plan: planId, step: stepId, claim } of held) {
        const plan = this.#plans.get(planId);
        const step = plan?.steps[stepId - 1];
        if (plan === undefined || step?.state.name !== 'running' || step.state.claim?.id !== claim) {
          continue;
        }
        const { name } = actionOf(plan, step.action).declaration;
        if (step.isCancelRequested) {
          turn.events.push(cancelMessage(plan, step, step.state.claim, name, false));
        }
        for (const event of step.events.slice(step.state.claim.tookEvents)) {
          turn.events.push(eventMessage(plan, step, step.state.claim, name, event));
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

  /** Does the work when all work for the same plans that was asked before is over (E3). */
  async #inLine<T>(plans: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = plans.flatMap((plan) => this.#lastInLine.get(plan) ?? []);
    const mine = before.length === 0 ? work() : Promise.allSettled(before).then(work);
    for (const plan of plans) {
      this.#lastInLine.set(plan, mine);
    }
    try {
      return await mine;
    } finally {
      for (const plan of plans) {
        if (this.#lastInLine.get(plan) === mine) {
          this.#lastInLine.delete(plan);
        }
      }
    }
  }

  #assertRead(plans: readonly string[]): void {
    const unread = plans.find((plan) => this.#unread.has(plan));
    if (unread !== undefined) {
      throw new UnavailableError('DYN_PLAN_UNREAD', `the plan ${unread} is being read again after a failed write; try again`);
    }
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
    const succeed = (): void => {
      this.#subPlans.keep();
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
    let committed: void | Promise<void>;
    try {
      this.#invokeLocalActions(turn);
      committed = turn.hasChanges ? this.#options.store.commit(turn.changes()) : undefined;
    } catch (error) {
      fail(error);
      return;
    }
    if (committed === undefined) {
      succeed();
      return;
    }
    this.#isCommitting = true;
    void committed.then(succeed, fail).finally(() => {
      this.#isCommitting = false;
      this.#requestTurn();
    });
  }

  /** Local actions run in the turn that made them ready; what they decide may make more ready. */
  #invokeLocalActions(turn: Turn): void {
    const told = new Set<Plan>();
    for (let index = 0; index < turn.invocations.length || this.#tellCallers(turn, told); index += 1) {
      const invocation = turn.invocations[index];
      if (invocation !== undefined) {
        this.#invokeLocalAction(invocation.plan, invocation.step, invocation.event, turn);
      }
    }
  }

  /** Sub-plans that came to rest are an event for the action that made them, one for all. @returns true if that added invocations. */
  #tellCallers(turn: Turn, told: Set<Plan>): boolean {
    const callers = new Map<Step, Plan>();
    for (const child of turn.rested) {
      const caller = told.has(child) ? undefined : this.#noteCounts(child, turn);
      told.add(child);
      if (caller?.step.state.name === 'suspended') {
        callers.set(caller.step, caller.plan);
      }
    }
    for (const [step, plan] of callers) {
      const counts = this.#subPlans.countsOf(plan.id, step.action);
      if (counts !== undefined) {
        turn.invocations.push({ plan, step, event: { kind: 'subPlans', counts } });
      }
    }
    return callers.size > 0;
  }

  /** Stores with the caller's step how many of its sub-plans are at rest. @returns that step, if the caller is active here. */
  #noteCounts(child: Plan, turn: Turn): { plan: Plan; step: Step } | undefined {
    const plan = child.callerPlan === null ? undefined : this.#plans.get(child.callerPlan);
    const runStep = plan === undefined || child.callerAction === null ? null : actionOf(plan, child.callerAction).runStep;
    if (plan === undefined || runStep === null) {
      return undefined;
    }
    const step = stepOf(plan, runStep);
    const counts = this.#subPlans.countsOf(plan.id, step.action);
    if (counts !== undefined) {
      step.settledSubPlans = { success: counts.success, failed: counts.failed };
      turn.touchStep(plan, step);
    }
    return { plan, step };
  }

  #invokeLocalAction(plan: Plan, step: Step, event: LocalInvocation['event'], turn: Turn): void {
    if (plan.state !== 'running') {
      return;
    }
    const action = actionOf(plan, step.action);
    const { state } = step;
    // Another event of this turn has ended it already.
    const isOver = state.name === 'success' || state.name === 'skipped' || state.name === 'cancelled';
    if (isOver || (state.name === 'error' && !state.isRetrying) || this.#director.endIfCancelled(plan, step, turn)) {
      return;
    }
    if (state.name !== 'running') {
      moveStep(plan, step, { name: 'running', claim: null }, turn);
    }
    let result: LocalResult;
    try {
      result = this.#options.local.run(action.declaration.name, {
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
    } catch (error) {
      this.#options.onFault?.(`the local action ${action.declaration.name} threw`, error);
      const errorClass = error instanceof Error ? error.name : 'Error';
      this.#director.stepFailed(plan, step, { errorClass, message: messageOf(error), kind: 'final' }, undefined, turn);
      return;
    }
    this.#director.localOutcome(plan, step, result.outcome, turn);
    for (const command of result.commands) {
      if (command.kind === 'effect') {
        turn.effects.push({ plan, step: step.id, attempt: step.attempt, action, name: command.name, payload: command.payload });
      } else {
        turn.spawns.push({
          parent: plan,
          action: action.id,
          children: command.children,
          concurrencyLimit: command.concurrencyLimit ?? null,
        });
      }
    }
  }

  /** All that follows a commit. Nothing in here may keep the rest from happening. */
  #send(turn: Turn): void {
    const { outbox, clock, onRest } = this.#options;
    for (const plan of turn.rested) {
      this.#plans.delete(plan.id);
      this.#subPlans.callerRests(plan.id);
      this.#cancelTimersOf(plan);
      this.#guard('the end of a plan could not be told', () => onRest?.({ id: plan.id, state: plan.state, result: resultOf(plan.tally) }));
    }
    const tokens = turn.tokens();
    if (tokens.length > 0) {
      this.#guard('tokens could not be published', () => outbox.publishTokens(tokens));
    }
    for (const { plugin, executor, message } of turn.confirmations()) {
      void this.#tell(plugin, executor, message);
    }
    for (const event of turn.events) {
      void this.#deliver(event);
    }
    for (const timer of turn.timers) {
      const key = `${timer.plan}/${timer.step}`;
      this.#timers.get(key)?.();
      this.#timers.delete(key);
      if (this.#plans.has(timer.plan)) {
        this.#timers.set(
          key,
          clock.at(timer.atMs, () => void this.#timerRang(key, timer.plan, timer.step, timer.attempt)),
        );
      }
    }
    for (const effect of turn.effects) {
      void this.#perform(effect);
    }
    for (const spawn of turn.spawns) {
      void this.#spawn(spawn);
    }
    for (const plan of turn.unplanned) {
      void this.#askForPlan(plan, new Map());
    }
  }

  #guard(fault: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.onFault?.(fault, error);
    }
  }

  async #tell(plugin: string, executor: string, message: ExecutorMessage): Promise<boolean> {
    try {
      return await this.#options.outbox.tell(plugin, executor, message);
    } catch (error) {
      this.#options.onFault?.('an executor could not be told', error);
      return false;
    }
  }

  async #deliver({ plugin, executor, plan: planId, step: stepId, message }: Turn['events'][number]): Promise<void> {
    const isReceived = await this.#tell(plugin, executor, message);
    if (!isReceived || message.event.kind !== 'external') {
      return;
    }
    const { id } = message.event;
    await this.#put((turn) => {
      const plan = this.#plans.get(planId);
      const step = plan?.steps[stepId - 1];
      // If it was suspended meanwhile, the event has become one of the next invocation's.
      if (plan !== undefined && step?.state.name === 'running' && step.state.claim?.id === message.claim) {
        const index = step.events.findIndex((event) => event.id === id);
        if (index >= step.state.claim.tookEvents) {
          step.events.splice(index, 1);
          turn.touchStep(plan, step);
        }
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
      const payload = await this.#resolver.resolvePayload(effect.plan, effect.action, effect.payload);
      const { name } = effect.action.declaration;
      event = { kind: 'effect', name: effect.name, ok: true, value: await outbox.perform(name, effect.name, payload) };
    } catch (error) {
      event = { kind: 'effect', name: effect.name, ok: false, error: errorOf(error) };
    }
    const tell = async (): Promise<void> => {
      await this.#put((turn) => {
        const plan = this.#plans.get(effect.plan.id);
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
    const { parent, action, concurrencyLimit } = spawn;
    const ids = spawn.children.flatMap((child) => (child.id === undefined ? [] : [child.id]));
    try {
      await this.#inLine(ids, async () => {
        const existing = await store.existing(ids);
        await this.#put((turn) => {
          this.#assertRead(ids);
          const { runStep } = actionOf(parent, action);
          const step = runStep === null ? undefined : stepOf(parent, runStep);
          if (this.#plans.get(parent.id) !== parent || step?.state.name !== 'suspended') {
            return;
          }
          const made = spawn.children.map((child) =>
            this.#makePlan({ ...child, callerPlan: parent.id, callerAction: action, concurrencyLimit }, existing, turn),
          );
          turn.invocations.push({ plan: parent, step, event: { kind: 'spawned', plans: made.map(({ plan }) => plan) } });
          if (parent.isCancelRequested) {
            this.#cancelNew(made, turn);
          }
        });
      });
    } catch (error) {
      this.#options.onFault?.(`sub-plans of ${parent.id} could not be made; trying again`, error);
      clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#spawn(spawn));
    }
  }

  /** The plan was cancelled while its sub-plans were on their way: they are made, so that there is a record of them, and end. */
  #cancelNew(made: readonly { plan: string; created: boolean }[], turn: Turn): void {
    for (const { plan: id, created } of made) {
      const plan = created ? this.#plans.get(id) : undefined;
      if (plan !== undefined) {
        this.#director.cancel(plan, false, turn);
      }
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
        turn.unplanned.push(plan);
        this.#plans.set(id, plan);
        this.#subPlans.admit(plan);
      } else {
        const plan = buildPlan(header, expansion.root);
        turn.addPlan(plan);
        this.#startNew(plan, turn);
      }
      return { plan: id, created: true };
    } catch (error) {
      const stepError = errorOf(error);
      const plan = buildFailedPlan(header, this.#declarationOf(request.action), request.input, stepError);
      turn.addPlan(plan);
      this.#plans.set(id, plan);
      this.#neverStarted(plan, turn);
      return { plan: id, created: true, error: stepError };
    }
  }

  /** A plan that ends with its planning. */
  #neverStarted(plan: Plan, turn: Turn): void {
    turn.rested.add(plan);
    this.#director.releaseSiblings(plan, turn);
  }

  #declarationOf(action: string): ActionDeclaration {
    return this.#options.catalogue.declarationOf(action) ?? missingDeclaration(action, 1, { run: false, finalize: { kind: 'none' } });
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
  async #askForPlan(plan: Plan, answers: Map<string, PlanNode[]>): Promise<void> {
    const { outbox, clock, catalogue } = this.#options;
    const { request } = plan;
    if (request === null || this.#plans.get(plan.id) !== plan) {
      return;
    }
    const expand = (): Expansion => expandPlan(request.action, request.input, (name) => catalogue.declarationOf(name), answers);
    try {
      let expansion = expand();
      while (expansion.asked.length > 0) {
        for (const asked of expansion.asked) {
          const answer = await outbox.askPlan(asked.declaration, asked.input);
          if ('error' in answer) {
            throw new PlanningFailed(answer.error);
          }
          answers.set(asked.key, answer.nodes);
        }
        expansion = expand();
      }
      const { root } = expansion;
      await this.#put((turn) => this.#finishPlanning(plan, (header) => buildPlan(header, root), turn));
    } catch (error) {
      if (error instanceof UnavailableError) {
        clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#askForPlan(plan, answers));
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
    const { createdAtMs, startedAtMs, isCancelRequested, history } = stub;
    const plan: Plan = { ...build({ ...stub, nowMs: turn.nowMs }), createdAtMs, startedAtMs, isCancelRequested, history };
    turn.addPlanned(stub, plan);
    this.#startNew(plan, turn);
  }

  #failPlanning(stub: Plan, request: { action: string; input: JsonObject }, error: StepErrorV1, turn: Turn): void {
    if (this.#plans.get(stub.id) !== stub) {
      return;
    }
    const { createdAtMs, startedAtMs, isCancelRequested, history } = stub;
    const failed = buildFailedPlan({ ...stub, nowMs: turn.nowMs }, this.#declarationOf(request.action), request.input, error);
    const plan: Plan = { ...failed, createdAtMs, startedAtMs, isCancelRequested, history };
    turn.addPlanned(stub, plan);
    this.#plans.set(plan.id, plan);
    this.#neverStarted(plan, turn);
  }

  // --- loading -------------------------------------------------------------------------------------------------------------------

  /** Goes on with a plan from the store. One that cannot be read is left as it is stored, and does not keep others from going on. */
  #adopt(stored: StoredPlan, turn: Turn): void {
    const { catalogue } = this.#options;
    this.#guard(`the plan ${stored.plan.id} could not be read`, () => {
      const plan = planFromRows(stored, (name, version) => catalogue.declarationOf(name, version));
      turn.adopted.add(plan.id);
      this.#plans.set(plan.id, plan);
      for (const step of plan.steps) {
        if (step.settledSubPlans !== null) {
          this.#subPlans.restore(plan.id, step.action, step.settledSubPlans);
        }
      }
      const mayStart = this.#subPlans.admit(plan);
      switch (plan.state) {
        case 'planning':
          turn.unplanned.push(plan);
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
    });
  }

  #pausedPlan(id: string, stored: StoredPlan | null): Plan {
    this.#assertRead([id]);
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
    const { onFault, clock } = this.#options;
    onFault?.('a turn could not be committed; its plans are read again', error);
    this.#subPlans.takeBack();
    // With the turn, what was read in it has gone from the account of sub-plans, whether it was touched or not.
    for (const id of new Set([...[...turn.touchedPlans].map((plan) => plan.id), ...turn.adopted])) {
      const plan = this.#plans.get(id);
      if (plan !== undefined) {
        this.#plans.delete(id);
        this.#cancelTimersOf(plan);
      }
      if (this.#unread.has(id)) {
        continue;
      }
      this.#unread.add(id);
      // What could not be committed right after it was read would fail again and again without a pause.
      if (turn.adopted.has(id)) {
        clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#read(id));
      } else {
        void this.#read(id);
      }
    }
  }

  /** Reads a plan again. Also a new one: that its commit failed does not mean that it was not written. */
  async #read(id: string): Promise<void> {
    const { clock, store } = this.#options;
    let stored: StoredPlan | null;
    try {
      stored = await store.load(id);
    } catch {
      clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#read(id));
      return;
    }
    // A turn that fails with it has seen to it already.
    await this.#put((turn) => {
      this.#unread.delete(id);
      turn.adopted.add(id);
      if (stored?.plan.state === 'stopped' || stored?.plan.state === 'paused') {
        this.#subPlans.forget(stored.plan.callerPlan, stored.plan.callerAction, id);
      } else if (stored !== null) {
        this.#adopt(stored, turn);
      }
      if (this.#unread.size === 0) {
        const waiting = this.#onAllRead;
        this.#onAllRead = [];
        waiting.forEach((goOn) => goOn());
      }
    }).catch(() => undefined);
  }

  async #whenAllRead(): Promise<void> {
    if (this.#unread.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onAllRead.push(resolve);
      });
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
    super('DYN_PLAN_NOT_PAUSED', `the plan ${plan} is ${state}; only a paused plan can be resumed or skipped`, {
      context: { plan, state },
    });
  }
}

interface ClaimedStep {
  readonly plan: Plan;
  readonly step: Step;
  readonly claim: Claim;
  readonly action: string;
}

interface Input {
  readonly decide: (turn: Turn) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The message that gives an event to the holder of a step; it may be sent again and again. */
function eventMessage(plan: Plan, step: Step, claim: Claim, action: string, event: StoredEvent): Turn['events'][number] {
  const message = { type: 'step.event', version: 1, claim: claim.id, event: { kind: 'external', ...event } } as const;
  return { plugin: pluginOf(action), executor: claim.executor, plan: plan.id, step: step.id, message };
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
  return {
    errorClass: error instanceof Error ? error.name : 'Error',
    message: messageOf(error),
    ...code,
    kind: isRetryable ? 'retryable' : 'final',
  };
}
