import { NotFoundError, type JsonValue } from '@dynflow/kernel';
import type { ClaimRequestV1, OutputV1, RefusalV1, ReportV1, StepErrorV1, StepTokenV1 } from '@dynflow/contracts';
import { ActivePlans } from './active-plans.js';
import { AfterCommit } from './after-commit.js';
import { Director } from './director.js';
import type { EngineOptions, EngineParts } from './engine-parts.js';
import { applyOutput, applyReport, decideClaim, type SealedGrant } from './executor-messages.js';
import { LocalActions } from './local-actions.js';
import { actionOf, stepOf, type StoredEvent } from './model.js';
import { UnknownActionError } from './plan-expansion.js';
import { PlanLoader } from './plan-loader.js';
import { Planner, type TriggerInput } from './planner.js';
import { ReferenceResolver } from './references.js';
import type { StoredPlan } from './rows.js';
import { eventMessage } from './step-events.js';
import { StepHolders } from './step-holders.js';
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
  readonly #loader: PlanLoader;
  readonly #planner: Planner;
  readonly #holders: StepHolders;

  constructor(options: EngineOptions) {
    const plans = new ActivePlans();
    const subPlans = new SubPlans();
    const loop: TurnLoop = new TurnLoop({
      clock: options.clock,
      store: options.store,
      schedule: options.schedule,
      beforeCommit: (turn) => this.#local.invokeAll(turn),
      onCommitted: (turn) => {
        subPlans.keep();
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
      }),
      resolver: new ReferenceResolver(options.store),
      put: (decide) => loop.put(decide),
    };
    const timers = new Timers(this.#parts);
    this.#local = new LocalActions(this.#parts);
    this.#loader = new PlanLoader(this.#parts, timers);
    this.#planner = new Planner(this.#parts);
    this.#holders = new StepHolders(this.#parts, this.#loader);
    const afterCommit = new AfterCommit(this.#parts, { timers, loader: this.#loader, planner: this.#planner });
  }

  /** Loads what an earlier process left unfinished and goes on with it. Call it once, before anything else. */
  async start(): Promise<void> {
    const stored = await this.#parts.options.store.loadUnfinished();
    // Running sub-plans first: they hold their places under a limit, whatever the age of those that wait.
    const isRunning = (plan: StoredPlan): number => (plan.plan.state === 'running' ? 0 : 1);
    await this.#parts.put((turn) => {
      for (const plan of stored.toSorted((a, b) => isRunning(a) - isRunning(b))) {
        this.#loader.adopt(plan, turn);
      }
    });
  }

  /** Ids of the plans in memory. */
  get activePlans(): number {
    return this.#parts.plans.size;
  }

  /**
   * Makes a plan and starts it; resolved when that is committed. With an id of the caller's it is idempotent: a plan that exists is
   * left alone and `created` is false. A plan whose planning fails exists all the same, `stopped` with result `error`; `error` says why.
   *
   * @throws UnknownActionError if nobody declares the action; UnavailableError if the store cannot be written.
   */
  async trigger(request: TriggerInput): Promise<{ plan: string; created: boolean; error?: StepErrorV1 }> {
    if (this.#parts.options.catalogue.declarationOf(request.action) === undefined) {
      throw new UnknownActionError(request.action);
    }
    const ids = request.id === undefined ? [] : [request.id];
    return this.#loader.inLine(ids, async () => {
      const existing = ids.length === 0 ? new Set<string>() : await this.#parts.options.store.existing(ids);
      return this.#parts.put((turn) => {
        this.#loader.assertRead(ids);
        return this.#planner.makePlan(request, existing, turn);
      });
    });
  }

  /**
   * Decides on claims; every grant is committed before this resolves. The plugin is the subject's, never the message's.
   *
   * @throws UnavailableError if that cannot be said now (also by {@link report}, {@link output} and all that address a plan).
   */
  async claim(plugin: string, request: ClaimRequestV1): Promise<(SealedGrant | RefusalV1)[]> {
    const answers = await this.#parts.put((turn) => {
      this.#loader.assertRead(request.claims.map(({ plan }) => plan));
      return request.claims.map((claim) => ({
        answer: decideClaim({ plan: this.#parts.plans.get(claim.plan), plugin, request, claim, director: this.#parts.director, turn }),
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
          turn,
          outputLimitBytes: limit,
        });
      }
    });
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
      if (plan === undefined || step === undefined) {
        return false;
      }
      if (step.state.name !== 'running' && step.state.name !== 'suspended') {
        return false;
      }
      const { name } = actionOf(plan, step.action).declaration;
      if (this.#parts.options.catalogue.isLocal(name)) {
        this.#parts.director.wake(plan, step, { kind: 'external', data }, turn);
        return true;
      }
      const event: StoredEvent = { id: this.#parts.options.ids.uuid(), data };
      step.events.push(event);
      turn.touchStep(plan, step);
      if (step.state.name === 'running' && step.state.claim !== null) {
        turn.events.push(eventMessage(plan, step, step.state.claim, name, event));
      } else {
        this.#parts.director.wake(plan, step, undefined, turn);
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
    return this.#parts.put((turn) => {
      const family = [planId];
      // The list grows while it is gone through.
      for (const member of family) {
        family.push(...this.#parts.subPlans.activeOf(member));
      }
      this.#loader.assertRead(family);
      if (!this.#parts.plans.has(planId)) {
        return null;
      }
      let told = 0;
      for (const member of family) {
        const plan = this.#parts.plans.get(member);
        told += plan === undefined ? 0 : this.#parts.director.cancel(plan, options.force ?? false, turn);
      }
      return told;
    });
  }

  /** Lets a paused plan go on. @throws NotFoundError for an unknown plan, PlanNotPausedError. */
  async resume(planId: string): Promise<void> {
    await this.#loader.inLine([planId], async () => {
      const stored = await this.#parts.options.store.load(planId);
      await this.#parts.put((turn) => {
        const plan = this.#loader.pausedPlan(planId, stored);
        this.#parts.plans.set(plan.id, plan);
        this.#parts.subPlans.admit(plan);
        this.#local.noteCounts(plan, turn);
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
        return this.#parts.director.skip(plan, step, turn);
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
  remind(held: readonly { plan: string; step: number; claim: string }[]): Promise<void> {
    return this.#holders.remind(held);
  }

  /** Tokens of all steps that are ready now: what the loop that re-publishes works from. */
  readyTokens(): { plugin: string; queue: string; token: StepTokenV1 }[] {
    return this.#parts.plans.readyTokens();
  }
}
