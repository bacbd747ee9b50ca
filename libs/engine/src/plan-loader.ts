import { DynflowError, NotFoundError, UnavailableError } from '@dynflow/kernel';
import { RETRY_AFTER_MS, guard, type EngineParts } from './engine-parts.js';
import { noteHandover } from './handover.js';
import type { Plan } from './model.js';
import { armPlannedEvents } from './planned-events.js';
import { planFromRows, type StoredPlan } from './rows.js';
import type { Schedules } from './schedules.js';
import type { Singletons } from './singletons.js';
import type { PlanState } from './states.js';
import { askAgain } from './asked-sub-plans.js';
import { SubPlanRecount } from './sub-plan-recount.js';
import type { Timers } from './timers.js';
import type { Turn } from './turn.js';

/** Thrown by resume and skip: they are only for plans that are paused. */
export class PlanNotPausedError extends DynflowError {
  constructor(plan: string, state: PlanState) {
    super('DYN_PLAN_NOT_PAUSED', `the plan ${plan} is ${state}; only a paused plan can be resumed or skipped`, {
      context: { plan, state },
    });
  }
}

/** Brings plans from the store into memory: at start, when they are resumed, and again after a turn that could not be committed. */
export class PlanLoader {
  readonly recount: SubPlanRecount;
  readonly #engine: EngineParts;
  readonly #timers: Timers;
  readonly #schedules: Schedules;
  readonly #singletons: Singletons;
  /** Plans of a turn that could not be committed, until they have been read again. */
  readonly #unread = new Set<string>();
  #onAllRead: (() => void)[] = [];
  /** The last of those who wait for each other, by plan (E3). */
  readonly #lastInLine = new Map<string, Promise<unknown>>();

  constructor(engine: EngineParts, rooms: { timers: Timers; schedules: Schedules; singletons: Singletons }) {
    this.#engine = engine;
    this.#timers = rooms.timers;
    this.#schedules = rooms.schedules;
    this.#singletons = rooms.singletons;
    this.recount = new SubPlanRecount(engine);
  }

  /** True while no plan waits to be read again. */
  get isAllRead(): boolean {
    return this.#unread.size === 0;
  }

  /** Does the work when all work for the same plans that was asked before is over (E3). */
  async inLine<T>(plans: readonly string[], work: () => Promise<T>): Promise<T> {
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

  assertRead(plans: readonly string[]): void {
    const unread = plans.find((plan) => this.#unread.has(plan));
    if (unread !== undefined) {
      throw new UnavailableError('DYN_PLAN_UNREAD', `the plan ${unread} is being read again after a failed write; try again`);
    }
  }

  /** Goes on with a plan from the store. One that cannot be read is left as it is stored, and does not keep others from going on. */
  adopt(stored: StoredPlan, turn: Turn): void {
    guard(this.#engine.options, `the plan ${stored.plan.id} could not be read`, () => {
      const plan = this.fromRows(stored);
      turn.adopted.add(plan.id);
      this.#engine.plans.set(plan.id, plan);
      this.#engine.gate.restore(plan, turn);
      this.recount.restore(plan, turn);
      armPlannedEvents(plan, turn);
      askAgain(plan, turn);
      const mayStart = this.#engine.subPlans.admit(plan);
      if (plan.state !== 'scheduled') {
        this.#singletons.restore(plan);
      }
      switch (plan.state) {
        case 'planning':
          turn.unplanned.push(plan);
          return;
        case 'planned':
          if (mayStart) {
            this.#engine.director.start(plan, turn);
          }
          return;
        case 'running':
          noteHandover(plan, this.#engine.options.world, turn);
          this.#engine.director.walk(plan, turn);
          return;
        case 'scheduled':
          this.#schedules.consider(plan, turn);
          return;
        case 'pending':
        case 'paused':
        case 'stopped':
          return;
      }
    });
  }

  /** @throws InconsistentPlanError */
  fromRows(stored: StoredPlan): Plan {
    return planFromRows(stored, (name, version) => this.#engine.options.catalogue.declarationOf(name, version));
  }

  pausedPlan(id: string, stored: StoredPlan | null): Plan {
    this.assertRead([id]);
    const active = this.#engine.plans.get(id);
    if (active !== undefined) {
      throw new PlanNotPausedError(id, active.state);
    }
    if (stored === null) {
      throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no plan ${id}`);
    }
    const plan = this.fromRows(stored);
    if (plan.state !== 'paused') {
      throw new PlanNotPausedError(id, plan.state);
    }
    return plan;
  }

  /** A turn could not be committed: everything that it touched is read again, so that memory and store agree. */
  recover(turn: Turn, error: unknown): void {
    const { onFault, clock } = this.#engine.options;
    onFault?.('a turn could not be committed; its plans are read again', error);
    this.#engine.subPlans.takeBack();
    this.#engine.gate.takeBack();
    // With the turn, what was read in it has gone from the account of sub-plans, whether it was touched or not.
    for (const id of new Set([...[...turn.touchedPlans].map((plan) => plan.id), ...turn.adopted])) {
      const plan = this.#engine.plans.get(id);
      if (plan !== undefined) {
        this.#engine.plans.delete(id);
        this.#timers.cancelOf(plan);
        this.#schedules.forget(plan);
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
    let isRead = false;
    try {
      await this.recount.read(id, (stored, turn) => {
        isRead = true;
        this.#unread.delete(id);
        turn.adopted.add(id);
        this.#engine.gate.forget(id);
        if (stored?.plan.state === 'stopped' || stored?.plan.state === 'paused') {
          this.#engine.subPlans.forget(stored.plan.callerPlan, stored.plan.callerAction, id);
          this.#schedules.ended(id, stored.plan);
        } else if (stored !== null) {
          this.adopt(stored, turn);
        }
        if (this.#unread.size === 0) {
          const waiting = this.#onAllRead;
          this.#onAllRead = [];
          waiting.forEach((goOn) => goOn());
        }
      });
    } catch {
      // A turn that fails with it has seen to it already.
      if (!isRead) {
        const { clock } = this.#engine.options;
        clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#read(id));
      }
    }
  }

  async whenAllRead(): Promise<void> {
    if (this.#unread.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onAllRead.push(resolve);
      });
    }
  }
}
