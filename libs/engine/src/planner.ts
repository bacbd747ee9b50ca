import { InvalidInputError, UnavailableError } from '@dynflow/kernel';
import { pluginOf, type ActionDeclaration, type StepErrorV1, type SubPlanRequest } from '@dynflow/contracts';
import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import { fingerprintOf } from './idempotency.js';
import type { Known } from './known.js';
import { stepOf, type Plan, type PlanAnswer, type PlanRequest } from './model.js';
import { movePlan, moveStep, remember } from './moves.js';
import { buildFailedPlan, buildPlan, buildUnplanned, type PlanHeader } from './plan-builder.js';
import { UnknownActionError, expandPlan, type Expansion, type PlannedAction } from './plan-expansion.js';
import { inPlanPhase } from './plan-phases.js';
import { missingDeclaration } from './rows.js';
import { assertMoments, scheduleOf } from './schedule-request.js';
import type { Singletons } from './singletons.js';
import { PlanningFailed, errorOf } from './step-errors.js';
import type { Turn } from './turn.js';

/** A plan to be made: the request of a caller, with where it came from. */
export interface TriggerInput extends SubPlanRequest {
  callerPlan?: string;
  callerAction?: number;
  concurrencyLimit?: number | null;
  /** The caller's own word for this launch, unique among all plans: a second launch with it is the first one's plan. */
  idempotencyKey?: string;
}

/**
 * Makes plans: at once where the manifests say how, else when an executor has said it, or when their moment has come.
 *
 * Owns: plans until they are planned. Does not own: when a scheduled plan begins.
 *
 * What is made of a request is complete before anything of the turn is changed, so a request that is refused leaves nothing behind.
 */
export class Planner {
  readonly #engine: EngineParts;
  readonly #singletons: Singletons;
  readonly #consider: (plan: Plan, turn: Turn) => void;

  constructor(engine: EngineParts, rooms: { singletons: Singletons; consider: (plan: Plan, turn: Turn) => void }) {
    this.#engine = engine;
    this.#singletons = rooms.singletons;
    this.#consider = rooms.consider;
  }

  /** `asked`: the request as it was when `known` was looked up. */
  makePlan(
    request: TriggerInput,
    known: Known,
    turn: Turn,
    asked: SubPlanRequest = request,
  ): { plan: string; created: boolean; error?: StepErrorV1 } {
    const id = request.id ?? this.#engine.options.ids.uuid();
    if (this.#engine.plans.has(id) || known.existing.has(id)) {
      return { plan: id, created: false };
    }
    const header = this.#headerOf(id, request, turn);
    try {
      if (header.schedule === null) {
        const made = this.#plan(request, (root) => buildPlan(header, root));
        if (made === null) {
          this.#addUnplanned(header, 'planning', request, turn);
        } else {
          turn.addPlan(made);
          this.#startNew(made, turn);
        }
      } else {
        this.assertSchedule(request, known.existing);
        const delayed = known.delays.get(asked) ?? { input: request.input };
        if ('error' in delayed) {
          throw new PlanningFailed(delayed.error);
        }
        this.#consider(this.#addUnplanned(header, 'scheduled', { action: request.action, input: delayed.input }, turn), turn);
      }
      return { plan: id, created: true };
    } catch (error) {
      if (error instanceof UnavailableError) {
        throw error;
      }
      const stepError = errorOf(error);
      const plan = buildFailedPlan({ ...header, schedule: null }, this.#declarationOf(request.action), request.input, stepError);
      turn.addPlan(plan);
      this.#engine.plans.set(id, plan);
      this.#neverStarted(plan, turn);
      return { plan: id, created: true, error: stepError };
    }
  }

  /**
   * A plan may only wait for plans that exist and do not wait for it themselves.
   *
   * @throws InvalidInputError
   */
  assertSchedule(request: TriggerInput, existing: ReadonlySet<string>): void {
    const schedule = scheduleOf(request.schedule);
    if (schedule === null || (request.id !== undefined && existing.has(request.id))) {
      return;
    }
    assertMoments(schedule);
    const refuse = (id: string, why: string): never => {
      throw new InvalidInputError('schedule.after', `schedule.after: ${id} ${why}`, { context: { plan: id } });
    };
    const { plans, subPlans } = this.#engine;
    for (const id of schedule.after) {
      if (id === request.id) {
        refuse(id, 'is this plan itself, which could never begin');
      }
      if (!plans.has(id) && !existing.has(id)) {
        refuse(id, 'is no plan');
      }
    }
    // The caller waits for its sub-plan: whoever waits for the caller can never be what the sub-plan waits for.
    const ways = request.callerPlan === undefined ? [] : [...schedule.after];
    const seen = new Set(ways);
    for (const id of ways) {
      if (id === request.callerPlan) {
        refuse(id, 'waits for this plan, which could never begin');
      }
      for (const next of [...(plans.get(id)?.schedule?.after ?? []), ...subPlans.activeOf(id)]) {
        if (!seen.has(next)) {
          seen.add(next);
          ways.push(next);
        }
      }
    }
  }

  /**
   * The moment of a scheduled plan has come: it is planned, in this turn or when an executor has answered.
   *
   * @throws UnavailableError if that cannot be said now; then nothing has changed.
   */
  begin(stub: Plan, turn: Turn): void {
    const { request } = stub;
    if (request === null) {
      return;
    }
    let made: Plan | null = null;
    let failure: unknown;
    try {
      made = this.#plan(request, (root) => this.#planned(stub, (header) => buildPlan(header, root), turn));
      if (made === null) {
        this.#singletons.take(stub);
      }
    } catch (error) {
      if (error instanceof UnavailableError) {
        throw error;
      }
      failure = error;
    }
    movePlan(stub, 'planning', turn);
    moveStep(stub, stepOf(stub, 1), { name: 'running', claim: null }, turn);
    stub.startedAtMs = turn.nowMs;
    if (failure !== undefined) {
      this.#failPlanning(stub, request, errorOf(failure), turn);
    } else if (made === null) {
      this.#askLater(stub, turn);
    } else {
      made.startedAtMs = turn.nowMs;
      turn.addPlanned(stub, made);
      this.#startNew(made, turn);
    }
  }

  /** The plan of a request, with the singleton actions taken; null: somebody has to be asked first. @throws whatever is wrong with it */
  #plan(request: PlanRequest, build: (root: PlannedAction) => Plan): Plan | null {
    const expansion = expandPlan(request.action, request.input, this.#engine.options.catalogue);
    if (expansion.asked.length > 0 || this.#engine.options.phases?.wrapsPlanning === true) {
      return null;
    }
    const plan = build(expansion.root);
    this.#singletons.take(plan);
    return plan;
  }

  #addUnplanned(header: PlanHeader, state: 'scheduled' | 'planning', request: PlanRequest, turn: Turn): Plan {
    const { action, input } = request;
    const declaration = this.#engine.options.catalogue.declarationOf(action);
    if (declaration === undefined) {
      throw new UnknownActionError(action);
    }
    const plan = buildUnplanned(header, state, declaration, { action, input });
    if (state === 'planning') {
      this.#singletons.take(plan);
    }
    turn.addPlan(plan);
    if (state === 'planning') {
      this.#askLater(plan, turn);
    } else {
      remember(plan, 'delay', this.#engine.options.world, turn);
    }
    this.#engine.plans.set(plan.id, plan);
    this.#engine.subPlans.admit(plan);
    return plan;
  }

  #askLater(plan: Plan, turn: Turn): void {
    plan.waitsFor = `an executor of ${pluginOf(plan.request?.action ?? plan.label)} to plan it`;
    turn.unplanned.push(plan);
  }

  /** A plan that ends with its planning. */
  #neverStarted(plan: Plan, turn: Turn): void {
    turn.rested.add(plan);
    this.#engine.director.releaseSiblings(plan, turn);
  }

  #declarationOf(action: string): ActionDeclaration {
    return (
      this.#engine.options.catalogue.declarationOf(action) ?? missingDeclaration(action, 1, { run: false, finalize: { kind: 'none' } })
    );
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
      priority: request.priority ?? 0,
      attributes: request.attributes ?? {},
      idempotencyKey: request.idempotencyKey ?? null,
      schedule: scheduleOf(request.schedule),
      heldBecause: (request.callerPlan === undefined ? undefined : this.#engine.plans.get(request.callerPlan)?.heldBecause) ?? null,
      fingerprint: request.idempotencyKey === undefined ? null : fingerprintOf(request.action, request.input),
      nowMs: turn.nowMs,
    };
  }

  #startNew(plan: Plan, turn: Turn): void {
    this.#engine.plans.set(plan.id, plan);
    if (this.#engine.subPlans.admit(plan)) {
      this.#engine.director.start(plan, turn);
    }
  }

  /** Asks executors until the whole tree is known, then makes the plan. While none answers the plan waits in `planning`. */
  async askForPlan(plan: Plan, answers: Map<string, PlanAnswer>): Promise<void> {
    const { outbox, clock, catalogue, phases } = this.#engine.options;
    const { request } = plan;
    if (request === null || !this.#isInPlanning(plan)) {
      return;
    }
    const expand = (): Expansion => expandPlan(request.action, request.input, catalogue, answers);
    try {
      const root = await inPlanPhase(phases, plan, async () => {
        let expansion = expand();
        while (expansion.asked.length > 0) {
          for (const asked of expansion.asked) {
            const answer = await outbox.askPlan(asked.declaration, asked.input);
            if ('error' in answer) {
              throw new PlanningFailed(answer.error);
            }
            answers.set(asked.key, answer);
          }
          expansion = expand();
        }
        return expansion.root;
      });
      await this.#engine.put((turn) => this.#finishPlanning(plan, (header) => buildPlan(header, root), turn));
    } catch (error) {
      if (error instanceof UnavailableError) {
        clock.at(clock.now() + RETRY_AFTER_MS, () => void this.askForPlan(plan, answers));
        return;
      }
      await this.#engine
        .put((turn) => this.#failPlanning(plan, request, errorOf(error), turn))
        .catch((fault: unknown) => this.#engine.options.onFault?.('a failed planning could not be recorded', fault));
    }
  }

  #finishPlanning(stub: Plan, build: (header: PlanHeader) => Plan, turn: Turn): void {
    if (!this.#isInPlanning(stub)) {
      return;
    }
    const plan = this.#planned(stub, build, turn);
    this.#singletons.take(plan);
    turn.addPlanned(stub, plan);
    this.#startNew(plan, turn);
  }

  #failPlanning(stub: Plan, request: PlanRequest, error: StepErrorV1, turn: Turn): void {
    if (!this.#isInPlanning(stub)) {
      return;
    }
    const declaration = this.#declarationOf(request.action);
    const plan = this.#planned(stub, (header) => buildFailedPlan(header, declaration, request.input, error), turn);
    turn.addPlanned(stub, plan);
    this.#engine.plans.set(plan.id, plan);
    this.#neverStarted(plan, turn);
  }

  /** False if it was cancelled or halted meanwhile, or is read again. */
  #isInPlanning(stub: Plan): boolean {
    return this.#engine.plans.get(stub.id) === stub && stub.state === 'planning';
  }

  /** What takes the place of a plan that was only a request. */
  #planned(stub: Plan, build: (header: PlanHeader) => Plan, turn: Turn): Plan {
    return build({ ...stub, stub, fingerprint: stub.request?.fingerprint ?? null, nowMs: turn.nowMs });
  }
}
