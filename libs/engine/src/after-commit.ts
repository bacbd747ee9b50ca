import type { ExecutorMessage, LocalInvocation } from '@dynflow/contracts';
import { RETRY_AFTER_MS, guard, type EngineParts } from './engine-parts.js';
import { actionOf, planResult } from './model.js';
import { PlanEvents } from './plan-events.js';
import type { PlanLoader } from './plan-loader.js';
import { tellFinalizePhases } from './plan-phases.js';
import type { Planner } from './planner.js';
import type { Schedules } from './schedules.js';
import { errorOf } from './step-errors.js';
import { SubPlanMaker } from './sub-plan-maker.js';
import { TimeLimits } from './time-limits.js';
import type { Timers } from './timers.js';
import type { EffectRequest, Turn } from './turn.js';

/** Does what a committed turn has noted: messages, timers, effects, sub-plans. What comes of it is put to a later turn. */
export class AfterCommit {
  readonly #engine: EngineParts;
  readonly #timers: Timers;
  readonly #schedules: Schedules;
  readonly #timeLimits: TimeLimits;
  readonly #maker: SubPlanMaker;
  readonly #planner: Planner;
  readonly #events: PlanEvents;

  constructor(engine: EngineParts, rooms: { timers: Timers; loader: PlanLoader; planner: Planner; schedules: Schedules }) {
    this.#engine = engine;
    this.#timers = rooms.timers;
    this.#schedules = rooms.schedules;
    this.#timeLimits = new TimeLimits(engine);
    this.#maker = new SubPlanMaker(engine, rooms);
    this.#planner = rooms.planner;
    this.#events = new PlanEvents(engine.options);
  }

  /** All that follows a commit. Nothing in here may keep the rest from happening. */
  send(turn: Turn): void {
    const { outbox, onRest } = this.#engine.options;
    for (const plan of turn.rested) {
      this.#engine.plans.delete(plan.id);
      this.#engine.subPlans.callerRests(plan.id);
      this.#timers.cancelOf(plan);
      this.#timeLimits.forget(plan);
      guard(this.#engine.options, 'the end of a plan could not be told', () =>
        onRest?.({ id: plan.id, state: plan.state, result: planResult(plan) }),
      );
    }
    tellFinalizePhases(this.#engine.options, turn);
    this.#events.tell(turn);
    const tokens = turn.tokens();
    if (tokens.length > 0) {
      guard(this.#engine.options, 'tokens could not be published', () => outbox.publishTokens(tokens));
    }
    for (const { plugin, executor, message } of turn.confirmations()) {
      void this.#tell(plugin, executor, message);
    }
    for (const event of turn.events) {
      void this.#deliver(event);
    }
    this.#schedules.committed(turn);
    for (const timer of turn.timers) {
      this.#timers.set(timer);
    }
    this.#timeLimits.watch(turn);
    for (const effect of turn.effects) {
      void this.#perform(effect);
    }
    for (const spawn of turn.spawns) {
      void this.#maker.make(spawn);
    }
    for (const { parent, step } of turn.asked) {
      void this.#maker.makeAsked(parent, step);
    }
    for (const plan of turn.unplanned) {
      void this.#planner.askForPlan(plan, new Map());
    }
  }

  async #tell(plugin: string, executor: string, message: ExecutorMessage): Promise<boolean> {
    try {
      return await this.#engine.options.outbox.tell(plugin, executor, message);
    } catch (error) {
      this.#engine.options.onFault?.('an executor could not be told', error);
      return false;
    }
  }

  async #deliver({ plugin, executor, plan: planId, step: stepId, message }: Turn['events'][number]): Promise<void> {
    const isReceived = await this.#tell(plugin, executor, message);
    if (!isReceived || message.event.kind !== 'external') {
      return;
    }
    const { id } = message.event;
    await this.#engine
      .put((turn) => {
        const plan = this.#engine.plans.get(planId);
        const step = plan?.steps[stepId - 1];
        // If it was suspended meanwhile, the event has become one of the next invocation's.
        if (plan !== undefined && step?.state.name === 'running' && step.state.claim?.id === message.claim) {
          const { claim } = step.state;
          const index = step.events.findIndex((event) => event.id === id);
          if (index >= claim.tookEvents) {
            const received = step.events.splice(index, 1);
            const { idempotent, resumable } = actionOf(plan, step.action).declaration;
            if (idempotent || resumable) {
              // Kept until the invocation ends: if its holder is lost, whoever takes the step over gets it again.
              step.events.splice(claim.tookEvents, 0, ...received);
              claim.tookEvents += 1;
            }
            turn.touchStep(plan, step);
          }
        }
      })
      .catch((error: unknown) => this.#engine.options.onFault?.('a delivered event could not be marked', error));
  }

  async #perform(effect: EffectRequest): Promise<void> {
    const { outbox, clock } = this.#engine.options;
    let event: LocalInvocation['event'];
    try {
      const payload = await this.#engine.resolver.resolvePayload(effect.plan, effect.action, effect.payload);
      const { name } = effect.action.declaration;
      event = { kind: 'effect', name: effect.name, ok: true, value: await outbox.perform(name, effect.name, payload) };
    } catch (error) {
      event = { kind: 'effect', name: effect.name, ok: false, error: errorOf(error) };
    }
    const tell = async (): Promise<void> => {
      await this.#engine
        .put((turn) => {
          const plan = this.#engine.plans.get(effect.plan.id);
          const step = plan?.steps[effect.step - 1];
          if (plan !== undefined && step?.state.name === 'suspended' && step.attempt === effect.attempt) {
            this.#engine.director.wake(plan, step, event, turn);
          }
        })
        .catch(() => void clock.at(clock.now() + RETRY_AFTER_MS, () => void tell()));
    };
    await tell();
  }
}
