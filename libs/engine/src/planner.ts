import { UnavailableError, type JsonObject } from '@dynflow/kernel';
import type { ActionDeclaration, PlanNode, StepErrorV1, SubPlanRequest } from '@dynflow/contracts';
import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import type { Plan } from './model.js';
import { buildFailedPlan, buildPlan, buildPlanInPlanning, type PlanHeader } from './plan-builder.js';
import { expandPlan, type Expansion } from './plan-expansion.js';
import { missingDeclaration } from './rows.js';
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

/** Makes plans: at once where the manifests say how, else when an executor has said it. */
export class Planner {
  readonly #engine: EngineParts;

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  makePlan(request: TriggerInput, existing: ReadonlySet<string>, turn: Turn): { plan: string; created: boolean; error?: StepErrorV1 } {
    const id = request.id ?? this.#engine.options.ids.uuid();
    if (this.#engine.plans.has(id) || existing.has(id)) {
      return { plan: id, created: false };
    }
    const header = this.#headerOf(id, request, turn);
    try {
      const expansion = expandPlan(request.action, request.input, this.#engine.options.catalogue);
      if (expansion.asked.length > 0) {
        const plan = buildPlanInPlanning(header, { action: request.action, input: request.input });
        turn.addPlan(plan);
        turn.unplanned.push(plan);
        this.#engine.plans.set(id, plan);
        this.#engine.subPlans.admit(plan);
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
      this.#engine.plans.set(id, plan);
      this.#neverStarted(plan, turn);
      return { plan: id, created: true, error: stepError };
    }
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
      schedule: null,
      heldBecause: null,
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
  async askForPlan(plan: Plan, answers: Map<string, PlanNode[]>): Promise<void> {
    const { outbox, clock, catalogue } = this.#engine.options;
    const { request } = plan;
    if (request === null || this.#engine.plans.get(plan.id) !== plan) {
      return;
    }
    const expand = (): Expansion => expandPlan(request.action, request.input, catalogue, answers);
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
    if (this.#engine.plans.get(stub.id) !== stub) {
      return;
    }
    const { createdAtMs, startedAtMs, isCancelRequested, history } = stub;
    const plan: Plan = { ...build({ ...stub, nowMs: turn.nowMs }), createdAtMs, startedAtMs, isCancelRequested, history };
    turn.addPlanned(stub, plan);
    this.#startNew(plan, turn);
  }

  #failPlanning(stub: Plan, request: { action: string; input: JsonObject }, error: StepErrorV1, turn: Turn): void {
    if (this.#engine.plans.get(stub.id) !== stub) {
      return;
    }
    const { createdAtMs, startedAtMs, isCancelRequested, history } = stub;
    const failed = buildFailedPlan({ ...stub, nowMs: turn.nowMs }, this.#declarationOf(request.action), request.input, error);
    const plan: Plan = { ...failed, createdAtMs, startedAtMs, isCancelRequested, history };
    turn.addPlanned(stub, plan);
    this.#engine.plans.set(plan.id, plan);
    this.#neverStarted(plan, turn);
  }
}
