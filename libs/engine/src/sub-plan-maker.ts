import type { SubPlanRequest } from '@dynflow/contracts';
import { RETRY_AFTER_MS, type EngineParts } from './engine-parts.js';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { lookUp, type Known } from './known.js';
import type { PlanLoader } from './plan-loader.js';
import type { Planner } from './planner.js';
import type { SpawnRequest, Turn } from './turn.js';

/** Sub-plans of an executor's step that are made in one turn: enough to be quick, few enough that nothing else has to wait long. */
const CHILDREN_A_TURN = 500;

/**
 * Makes the sub-plans that actions asked for.
 *
 * Owns: when they are made, and that none is made twice. Does not own: the account of them, who may start.
 *
 * M1. What a local action asked for is made in one commit with the invocation that hears of it. What it asked for and did not get because
 *     the process died it asks for again.
 * M2. What an executor's step asked for is stored with the step, and leaves it in the commit that makes it.
 */
export class SubPlanMaker {
  readonly #engine: EngineParts;
  readonly #loader: PlanLoader;
  readonly #planner: Planner;

  constructor(engine: EngineParts, rooms: { loader: PlanLoader; planner: Planner }) {
    this.#engine = engine;
    this.#loader = rooms.loader;
    this.#planner = rooms.planner;
  }

  /** Makes the sub-plans of a local action; it is invoked in the same turn. */
  async make(spawn: SpawnRequest): Promise<void> {
    const { parent, action, children, concurrencyLimit } = spawn;
    try {
      await this.#inTurn(children, (known, turn) => {
        const step = this.#stepOf(parent, action);
        if (step?.state.name !== 'suspended') {
          return;
        }
        const made = this.#makePlans(parent, action, { children, concurrencyLimit }, known, turn);
        // That there are counts is stored with the first of them: who reads the plan again knows that it has to count.
        step.settledSubPlans ??= { success: 0, failed: 0, unplanned: 0, cancelled: 0 };
        turn.touchStep(parent, step);
        turn.invocations.push({ plan: parent, step, event: { kind: 'spawned', plans: made } });
      });
    } catch (error) {
      this.#again(parent, error, () => void this.make(spawn));
    }
  }

  /** Makes the next of the sub-plans that an executor's step asked for; those that are left follow in later turns. */
  async makeAsked(parent: Plan, step: Step): Promise<void> {
    const asked = step.askedSubPlans;
    if (asked === null) {
      return;
    }
    const children = asked.children.slice(0, CHILDREN_A_TURN);
    try {
      await this.#inTurn(children, (known, turn) => {
        if (this.#stepOf(parent, step.action) !== step || step.askedSubPlans !== asked) {
          return;
        }
        this.#makePlans(parent, step.action, { children, concurrencyLimit: asked.concurrencyLimit }, known, turn);
        const left = asked.children.slice(children.length);
        step.askedSubPlans = left.length === 0 ? null : { ...asked, children: left };
        step.settledSubPlans ??= { success: 0, failed: 0, unplanned: 0, cancelled: 0 };
        turn.touchStep(parent, step);
        if (left.length > 0) {
          turn.asked.push({ parent, step });
        }
      });
    } catch (error) {
      this.#again(parent, error, () => void this.makeAsked(parent, step));
    }
  }

  async #inTurn(children: readonly SubPlanRequest[], decide: (known: Known, turn: Turn) => void): Promise<void> {
    const ids = children.flatMap((child) => (child.id === undefined ? [] : [child.id]));
    await this.#loader.inLine(ids, async () => {
      const known = await lookUp(this.#engine.options, children);
      await this.#engine.put((turn) => {
        this.#loader.assertRead(ids);
        decide(known, turn);
      });
    });
  }

  /** The run step of an action of a plan that is still this engine's; undefined: the plan came to rest, or was read again. */
  #stepOf(parent: Plan, action: number): Step | undefined {
    const { runStep } = actionOf(parent, action);
    return this.#engine.plans.get(parent.id) === parent && runStep !== null ? stepOf(parent, runStep) : undefined;
  }

  #makePlans(parent: Plan, action: number, asked: Pick<SpawnRequest, 'children' | 'concurrencyLimit'>, known: Known, turn: Turn): string[] {
    const made = asked.children.map((child) =>
      this.#planner.makePlan(
        { priority: parent.priority, ...child, callerPlan: parent.id, callerAction: action, concurrencyLimit: asked.concurrencyLimit },
        known,
        turn,
        child,
      ),
    );
    if (parent.isCancelRequested) {
      this.#cancelNew(made, turn);
    }
    return made.map(({ plan }) => plan);
  }

  /** The plan was cancelled while its sub-plans were on their way: they are made, so that there is a record of them, and end. */
  #cancelNew(made: readonly { plan: string; created: boolean }[], turn: Turn): void {
    for (const { plan: id, created } of made) {
      const plan = created ? this.#engine.plans.get(id) : undefined;
      if (plan !== undefined) {
        this.#engine.director.cancellation.cancel(plan, false, turn);
      }
    }
  }

  #again(parent: Plan, error: unknown, again: () => void): void {
    const { clock, onFault } = this.#engine.options;
    onFault?.(`sub-plans of ${parent.id} could not be made; trying again`, error);
    clock.at(clock.now() + RETRY_AFTER_MS, again);
  }
}
