import { NotFoundError, type JsonValue } from '@dynflow/kernel';
import { isPlanCancellable } from '@dynflow/contracts';
import type { ClaimRequestV1, OutputV1, ReportV1, StepErrorV1 } from '@dynflow/contracts';
import { ActivePlans } from './active-plans.js';
import { AfterCommit } from './after-commit.js';
import { Director } from './director.js';
import type { EngineOptions, EngineParts } from './engine-parts.js';
import { applyOutput, applyReport, decideClaim, type Refusal, type SealedGrant } from './executor-messages.js';
import { Gate } from './gate.js';
import { Holds, type HoldState } from './holds.js';
import { Limits } from './limits.js';
import { HaltedClaims } from './halted-claims.js';
import { Interventions } from './interventions.js';
import { Launches } from './launches.js';
import { LocalActions } from './local-actions.js';
import { actionOf, stepOf } from './model.js';
import { PlanLoader } from './plan-loader.js';
import { Planner, type TriggerInput } from './planner.js';
import { ReferenceResolver } from './references.js';
import type { ReadyToken } from './ports.js';
import { rememberRates } from './remember-rates.js';
import type { StoredPlan } from './rows.js';
import { giveEvent } from './planned-events.js';
import { Schedules } from './schedules.js';
import { Singletons } from './singletons.js';
import { skip } from './skipping.js';
import { StepHolders } from './step-holders.js';
import { SubPlanNews } from './sub-plan-news.js';
import { servedChanged } from './served-versions.js';
import { SubPlans } from './sub-plans.js';
import { Timers } from './timers.js';
import { TurnLoop } from './turn-loop.js';

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
  readonly #parts: EngineParts;
  readonly #local: LocalActions;
  readonly #news: SubPlanNews;
  readonly #loader: PlanLoader;
  readonly #launches: Launches;
  readonly #interventions: Interventions;
  readonly #haltedClaims: HaltedClaims;
  readonly #schedules: Schedules;
  readonly #singletons: Singletons;
  readonly #holders: StepHolders;
  readonly #holds: Holds;

  constructor(options: EngineOptions) {
    const plans = new ActivePlans();
    const subPlans = new SubPlans();
    const resolver = new ReferenceResolver(options.store);
    const limits = new Limits({ clock: options.clock, resolver, planOf: (plan) => plans.get(plan) });
    const gate = new Gate(limits);
    const loop: TurnLoop = new TurnLoop({
      clock: options.clock,
      store: options.store,
      schedule: options.schedule,
      beforeCommit: (turn) => this.#local.invokeAll(turn),
      onCommitted: (turn) => {
        subPlans.keep();
        gate.keep();
        afterCommit.send(turn);
      },
      onFailed: (turn, error) => this.#loader.recover(turn, error),
    });
    this.#parts = {
      options,
      plans,
      subPlans,
      director: new Director({
        catalogue: options.catalogue,
        subPlans,
        world: options.world,
        planOf: (plan) => (plan === null ? undefined : plans.get(plan)),
        gate,
        random: options.random ?? (() => 0),
      }),
      gate,
      limits,
      serves: options.catalogue.serves?.bind(options.catalogue),
      resolver,
      put: (decide) => loop.put(decide),
    };
    // The turn itself has nothing to decide: at its end the gate looks who may pass.
    limits.onRoom = () =>
      void loop.put(() => undefined).catch((error: unknown) => options.onFault?.('limits could not be looked at', error));
    const timers = new Timers(this.#parts);
    const schedules: Schedules = new Schedules(this.#parts, (plan, turn) => planner.begin(plan, turn));
    const singletons: Singletons = new Singletons(plans, () => this.#loader.isAllRead);
    const planner = new Planner(this.#parts, { singletons, consider: (plan, turn) => schedules.consider(plan, turn) });
    this.#singletons = singletons;
    this.#schedules = schedules;
    this.#news = new SubPlanNews(this.#parts);
    this.#local = new LocalActions(this.#parts, this.#news);
    this.#loader = new PlanLoader(this.#parts, { timers, schedules, singletons });
    this.#launches = new Launches(this.#parts, { loader: this.#loader, planner });
    this.#haltedClaims = new HaltedClaims(options.outbox);
    this.#interventions = new Interventions(this.#parts, { loader: this.#loader, schedules, haltedClaims: this.#haltedClaims });
    this.#holders = new StepHolders(this.#parts, this.#loader);
    this.#holds = new Holds(this.#parts, this.#loader);
    const afterCommit = new AfterCommit(this.#parts, { timers, loader: this.#loader, planner, schedules });
  }

  /**
   * Loads what an earlier process left unfinished and goes on with it. Call it once, before anything else.
   *
   * @param options `holdBecause`: nothing of it goes on until {@link release}.
   * @returns how many plans were unfinished.
   */
  async start(options: { holdBecause?: string } = {}): Promise<number> {
    await this.#holds.load();
    await rememberRates(this.#parts);
    const unfinished = await this.#parts.options.store.loadUnfinished();
    const stored = await Promise.all(unfinished.map(async (plan) => this.#loader.recount.counted(plan)));
    // Running sub-plans first: they hold their places under a limit, whatever the age of those that wait.
    const isRunning = (plan: StoredPlan): number => (plan.plan.state === 'running' ? 0 : 1);
    await this.#parts.put((turn) => {
      for (const plan of stored.toSorted((a, b) => isRunning(a) - isRunning(b))) {
        this.#loader.adopt(this.#holds.heldAs(plan, options.holdBecause), turn);
        this.#holds.noteAdopted(plan.plan.id, options.holdBecause, turn);
      }
    });
    return stored.length;
  }

  /**
   * Holds plans with their sub-plans: none of them begins anything until {@link release}; what runs goes on. Without plans: no plan starts
   * any more, those that have started go on; that is kept over a restart.
   *
   * @returns how many plans are held by this.
   * @throws UnavailableError if that cannot be said now.
   */
  async hold({ reason, plans }: { reason: string; plans?: readonly string[] }): Promise<number> {
    if (plans !== undefined) {
      return this.#holds.holdPlans(plans, reason);
    }
    await this.#holds.holdNewWork(reason);
    return 0;
  }

  /** Lets held plans go on, with their sub-plans; without plans all of them, and new work too. @returns how many were held. */
  async release(options: { plans?: readonly string[] } = {}): Promise<number> {
    return this.#holds.release(options.plans);
  }

  /** What is held now. */
  get holds(): HoldState {
    return this.#holds.state;
  }

  /** Executors of a plugin have come, changed or gone, and with them the versions of its actions that are served. */
  async servedChanged(plugin: string): Promise<void> {
    await this.#parts.put((turn) => servedChanged(this.#parts.plans.values(), this.#parts.options.catalogue, plugin, turn));
  }

  /** Whether a cancel of this plan finds anything to end; see `isPlanCancellable`. False for one that is at rest, or unknown. */
  isCancellable(planId: string): boolean {
    const plan = this.#parts.plans.get(planId);
    const { catalogue } = this.#parts.options;
    return (
      plan !== undefined &&
      isPlanCancellable(
        {
          state: plan.state,
          steps: plan.steps.map(({ kind, state, action }) => ({ kind, state: state.name, action })),
          actions: plan.actions.map(({ id, declaration }) => ({ id, name: declaration.name })),
        },
        (action) => catalogue.declarationOf(action)?.cancellable ?? false,
      )
    );
  }

  /** Ids of the plans in memory. */
  get activePlans(): number {
    return this.#parts.plans.size;
  }

  /**
   * Makes a plan and starts it, or schedules it; resolved when that is committed. With an id or an idempotency key of the caller's it is
   * idempotent: a plan that exists is left alone and `created` is false. A plan whose planning fails, or that an executor refuses to have
   * delayed, exists all the same, `stopped` with result `error`; `error` says why.
   *
   * @throws UnknownActionError if nobody declares the action; InvalidInputError for a schedule that cannot be kept: it names a plan that
   * does not exist, the plan itself, or one that waits for it; IdempotencyConflictError if the key belongs to another launch;
   * UnavailableError if the store cannot be written, or nobody answers who has to be asked before the plan is delayed.
   */
  async trigger(request: TriggerInput): Promise<{ plan: string; created: boolean; error?: StepErrorV1 }> {
    return this.#launches.trigger(request);
  }

  /**
   * Decides on claims; every grant is committed before this resolves. The plugin is the subject's, never the message's.
   *
   * @throws UnavailableError if that cannot be said now (also by {@link report}, {@link output} and all that address a plan).
   */
  async claim(plugin: string, request: ClaimRequestV1): Promise<(SealedGrant | Refusal)[]> {
    const answers = await this.#parts.put((turn) => {
      this.#loader.assertRead(request.claims.map(({ plan }) => plan));
      return request.claims.map((claim) => ({
        answer: decideClaim({
          plan: this.#parts.plans.get(claim.plan),
          plugin,
          request,
          claim,
          director: this.#parts.director,
          subPlans: this.#parts.subPlans,
          serves: this.#parts.serves,
          turn,
        }),
        plan: this.#parts.plans.get(claim.plan),
      }));
    });
    return Promise.all(
      answers.map(async ({ answer, plan }) => {
        if (answer.result === 'refused' || plan === undefined) {
          return answer;
        }
        const action = actionOf(plan, stepOf(plan, answer.step).action);
        return action.references.length === 0 ? answer : { ...answer, input: await this.#parts.resolver.resolveInput(plan, action) };
      }),
    );
  }

  /** Applies outcomes; resolved when they are committed (or known to be stale), so that their message may be acknowledged. */
  async report(plugin: string, message: ReportV1): Promise<void> {
    await this.#parts.put((turn) => {
      this.#loader.assertRead(message.reports.map(({ plan }) => plan));
      for (const report of message.reports) {
        const limit = this.#parts.options.outputLimitBytes;
        applyReport({
          plan: this.#parts.plans.get(report.plan),
          plugin,
          message,
          report,
          director: this.#parts.director,
          catalogue: this.#parts.options.catalogue,
          turn,
          outputLimitBytes: limit,
        });
      }
    });
    this.#haltedClaims.reported(message.reports);
  }

  /** Stores live output. Resolved when it is committed; the executor is told then. */
  async output(plugin: string, message: OutputV1): Promise<void> {
    await this.#parts.put((turn) => {
      this.#loader.assertRead(message.output.map(({ plan }) => plan));
      for (const output of message.output) {
        const limit = this.#parts.options.outputLimitBytes;
        applyOutput({
          plan: this.#parts.plans.get(output.plan),
          plugin,
          executor: message.executor,
          output,
          turn,
          outputLimitBytes: limit,
        });
      }
    });
  }

  /**
   * Sends an event to a step that is running or suspended. It is stored until a held step's executor has received it.
   *
   * @returns false when the step cannot take events any more (or the plan is at rest).
   */
  async sendEvent(planId: string, stepId: number, data: JsonValue): Promise<boolean> {
    return this.#parts.put((turn) => {
      this.#loader.assertRead([planId]);
      const plan = this.#parts.plans.get(planId);
      const step = plan?.steps[stepId - 1];
      if (plan?.state !== 'running' || step === undefined) {
        return false;
      }
      return giveEvent(this.#parts, plan, step, { id: this.#parts.options.ids.uuid(), data }, turn);
    });
  }

  /**
   * Cancels a plan with its sub-plans and theirs. Stored before anybody is told. A plan that was not planned yet, or is paused, ends.
   *
   * @returns how many steps were told or ended; null if there is nothing to cancel: it has stopped, or is unknown.
   */
  async cancel(planId: string, options: { force?: boolean } = {}): Promise<number | null> {
    return this.#interventions.cancel(planId, options.force ?? false);
  }

  /**
   * Ends a plan by force, whatever it is doing: it is `stopped` with result `halted`, its steps stay as they are. Whoever holds one is told
   * to cancel it by force, and what they say afterwards has no effect. `family`: its active sub-plans and theirs, too.
   *
   * @returns false if it had stopped already. @throws NotFoundError for an unknown plan.
   */
  async halt(planId: string, options: { family?: boolean } = {}): Promise<boolean> {
    return this.#interventions.halt(planId, options.family ?? false);
  }

  /**
   * Freezes a scheduled plan, so that it does not begin, or lets it begin again; with a new time to begin at (null: none) if one is given.
   * Its deadline holds all the same.
   *
   * @throws NotFoundError for an unknown plan, PlanNotScheduledError, InvalidInputError for a time that cannot be.
   */
  async setFrozen(planId: string, isFrozen: boolean, newStartAtMs?: number | null): Promise<void> {
    await this.#interventions.setFrozen(planId, isFrozen, newStartAtMs);
  }

  /** Lets a paused plan go on. @throws NotFoundError for an unknown plan, PlanNotPausedError, SingletonActiveError. */
  async resume(planId: string): Promise<void> {
    await this.#loader.inLine([planId], async () => {
      await this.#loader.recount.read(planId, (stored, turn) => {
        const plan = this.#loader.pausedPlan(planId, stored);
        this.#singletons.take(plan);
        this.#parts.plans.set(plan.id, plan);
        this.#schedules.resumed(plan.id, turn);
        this.#loader.recount.restore(plan, turn);
        this.#parts.subPlans.admit(plan);
        this.#news.noteCounts(plan, turn);
        this.#parts.director.resume(plan, turn);
      });
    });
  }

  /** Skips a failed step of a paused plan, with all that need its output. @throws as {@link resume}. @returns the skipped steps. */
  async skip(planId: string, stepId: number): Promise<number[]> {
    return this.#loader.inLine([planId], async () => {
      const stored = await this.#parts.options.store.load(planId);
      return this.#parts.put((turn) => {
        const plan = this.#loader.pausedPlan(planId, stored);
        const step = plan.steps[stepId - 1];
        if (step === undefined) {
          throw new NotFoundError('DYN_STEP_NOT_FOUND', `the plan ${planId} has no step ${stepId}`);
        }
        return skip(plan, step, turn);
      });
    });
  }

  /**
   * Some processes of an executor are known to be gone: whatever they held is lost, at once.
   *
   * @param isGone tells by start id and claim id whether the holder of a step is gone.
   * @returns how many steps were lost.
   */
  executorLost(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean): Promise<number> {
    return this.#holders.executorLost(plugin, executor, isGone);
  }

  /** Who holds running steps now, each process of an executor once. */
  claimHolders(): { plugin: string; executor: string; startId: string }[] {
    return this.#holders.claimHolders();
  }

  /** A process of an executor said all that it holds: steps that it was granted and never got are given to whoever claims them next. */
  reconcile(plugin: string, holder: { executor: string; startId: string }, held: readonly string[]): Promise<void> {
    return this.#holders.reconcile(plugin, holder, held);
  }

  /** An executor said what it holds: steps among these that are to be cancelled, or have events that it did not receive, are told again. */
  async remind(held: readonly { plan: string; step: number; claim: string }[]): Promise<void> {
    await Promise.all([this.#holders.remind(held), this.#haltedClaims.remind(held)]);
  }

  /** Tokens of all steps that are ready now: what the loop that re-publishes works from. */
  readyTokens(): ReadyToken[] {
    return this.#parts.plans.readyTokens();
  }
}
