import { NotFoundError } from '@dynflow/kernel';
import type { EngineParts } from './engine-parts.js';
import type { HaltedClaims } from './halted-claims.js';
import type { Plan } from './model.js';
import type { PlanLoader } from './plan-loader.js';
import { assertMoments } from './schedule-request.js';
import { PlanNotScheduledError, type Schedules } from './schedules.js';
import type { Turn } from './turn.js';

/**
 * What people do to plans against their course: cancel, halt, freeze.
 *
 * Owns: finding the plan, in memory or in the store, and its family. Does not own: what becomes of it, which is the director's.
 */
export class Interventions {
  readonly #engine: EngineParts;
  readonly #loader: PlanLoader;
  readonly #schedules: Schedules;
  readonly #haltedClaims: HaltedClaims;

  constructor(engine: EngineParts, rooms: { loader: PlanLoader; schedules: Schedules; haltedClaims: HaltedClaims }) {
    this.#engine = engine;
    this.#loader = rooms.loader;
    this.#schedules = rooms.schedules;
    this.#haltedClaims = rooms.haltedClaims;
  }

  /** Cancels a plan with all of its family that is active. @returns how many steps were told or ended; null: it is stopped, or unknown. */
  async cancel(id: string, isForced: boolean): Promise<number | null> {
    const cancelAll = (turn: Turn): number => {
      const family = this.#family(id);
      // Those that wait first: else they would begin in the places of those that end.
      const waiting = family.filter(({ state }) => state === 'planned');
      const others = family.filter(({ state }) => state !== 'planned');
      return [...waiting, ...others].reduce((told, plan) => told + this.#engine.director.cancellation.cancel(plan, isForced, turn), 0);
    };
    const told = await this.#ifActive(id, cancelAll);
    return told ?? this.#withStored(id, ['paused'], cancelAll);
  }

  /** @returns false if it had stopped already. @throws NotFoundError */
  async halt(id: string, hasFamily: boolean): Promise<boolean> {
    const told: Turn['events'] = [];
    const halt = (turn: Turn): true => {
      for (const plan of hasFamily ? this.#family(id) : this.#family(id).slice(0, 1)) {
        const before = turn.events.length;
        this.#engine.director.cancellation.halt(plan, turn);
        told.push(...turn.events.slice(before));
      }
      return true;
    };
    const isHalted = (await this.#ifActive(id, halt)) ?? (await this.#withStored(id, UNFINISHED, halt));
    this.#haltedClaims.add(told);
    if (isHalted === null && !(await this.#engine.options.store.existing([id])).has(id)) {
      throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no plan ${id}`);
    }
    return isHalted ?? false;
  }

  /** @throws NotFoundError, PlanNotScheduledError, InvalidInputError */
  async setFrozen(id: string, isFrozen: boolean, startAtMs?: number | null): Promise<void> {
    const active = await this.#ifActive(id, (turn, plan) => {
      if (plan.state !== 'scheduled' || plan.schedule === null) {
        throw new PlanNotScheduledError(id, plan.state);
      }
      const schedule = { ...plan.schedule, isFrozen, ...(startAtMs === undefined ? {} : { startAtMs }) };
      assertMoments(schedule);
      plan.schedule = schedule;
      turn.touchPlan(plan);
      this.#schedules.consider(plan, turn);
      return true;
    });
    if (active === null) {
      const stored = (await this.#engine.options.store.verdicts([id])).get(id);
      throw stored === undefined
        ? new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no plan ${id}`)
        : new PlanNotScheduledError(id, stored.state);
    }
  }

  /** The plan and its active descendants, itself first. */
  #family(id: string): Plan[] {
    const ids = [id];
    // The list grows while it is gone through.
    for (const member of ids) {
      ids.push(...this.#engine.subPlans.activeOf(member));
    }
    this.#loader.assertRead(ids);
    return ids.flatMap((member) => this.#engine.plans.get(member) ?? []);
  }

  async #ifActive<T>(id: string, decide: (turn: Turn, plan: Plan) => T): Promise<T | null> {
    return this.#engine.put((turn) => {
      this.#loader.assertRead([id]);
      const plan = this.#engine.plans.get(id);
      return plan === undefined || plan.state === 'stopped' ? null : decide(turn, plan);
    });
  }

  /** Brings a plan into memory for one decision, after which it is at rest again. */
  async #withStored<T>(id: string, states: readonly string[], decide: (turn: Turn) => T): Promise<T | null> {
    return this.#loader.inLine([id], async () => {
      const stored = await this.#engine.options.store.load(id);
      if (stored === null || !states.includes(stored.plan.state)) {
        return null;
      }
      return this.#engine.put((turn) => {
        if (!this.#engine.plans.has(id)) {
          this.#loader.assertRead([id]);
          const plan = this.#loader.fromRows(stored);
          this.#engine.plans.set(id, plan);
          this.#engine.subPlans.admit(plan);
        }
        return decide(turn);
      });
    });
  }
}

const UNFINISHED = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused'];
