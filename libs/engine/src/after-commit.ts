import type { ExecutorMessage, LocalInvocation } from '@dynflow/contracts';
import { RETRY_AFTER_MS, guard, type EngineParts } from './engine-parts.js';
import { actionOf, planResult, stepOf } from './model.js';
import type { PlanLoader } from './plan-loader.js';
import type { Planner } from './planner.js';
import { errorOf } from './step-errors.js';
import type { Timers } from './timers.js';
import type { EffectRequest, Turn } from './turn.js';

/** Does what a committed turn has noted: messages, timers, effects, sub-plans. What comes of it is put to a later turn. */
export class AfterCommit {
  readonly #engine: EngineParts;
  readonly #timers: Timers;
  readonly #loader: PlanLoader;
  readonly #planner: Planner;

  constructor(engine: EngineParts, rooms: { timers: Timers; loader: PlanLoader; planner: Planner }) {
    this.#engine = engine;
    this.#timers = rooms.timers;
    this.#loader = rooms.loader;
    this.#planner = rooms.planner;
  }

  /** All that follows a commit. Nothing in here may keep the rest from happening. */
  send(turn: Turn): void {
    const { outbox, onRest } = this.#engine.options;
    for (const plan of turn.rested) {
      this.#engine.plans.delete(plan.id);
      this.#engine.subPlans.callerRests(plan.id);
      this.#timers.cancelOf(plan);
      guard(this.#engine.options, 'the end of a plan could not be told', () =>
        onRest?.({ id: plan.id, state: plan.state, result: planResult(plan) }),
      );
    }
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
    for (const timer of turn.timers) {
      this.#timers.set(timer);
    }
    for (const effect of turn.effects) {
      void this.#perform(effect);
    }
    for (const spawn of turn.spawns) {
      void this.#spawn(spawn);
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
          const index = step.events.findIndex((event) => event.id === id);
          if (index >= step.state.claim.tookEvents) {
            step.events.splice(index, 1);
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

  /** Makes the sub-plans that a local action asked for; the action is invoked in the same turn, so that both are committed together. */
  async #spawn(spawn: Turn['spawns'][number]): Promise<void> {
    const { store, clock } = this.#engine.options;
    const { parent, action, concurrencyLimit } = spawn;
    const ids = spawn.children.flatMap((child) => (child.id === undefined ? [] : [child.id]));
    try {
      await this.#loader.inLine(ids, async () => {
        const existing = await store.existing(ids);
        await this.#engine.put((turn) => {
          this.#loader.assertRead(ids);
          const { runStep } = actionOf(parent, action);
          const step = runStep === null ? undefined : stepOf(parent, runStep);
          if (this.#engine.plans.get(parent.id) !== parent || step?.state.name !== 'suspended') {
            return;
          }
          const made = spawn.children.map((child) =>
            this.#planner.makePlan({ ...child, callerPlan: parent.id, callerAction: action, concurrencyLimit }, existing, turn),
          );
          turn.invocations.push({ plan: parent, step, event: { kind: 'spawned', plans: made.map(({ plan }) => plan) } });
          if (parent.isCancelRequested) {
            this.#cancelNew(made, turn);
          }
        });
      });
    } catch (error) {
      this.#engine.options.onFault?.(`sub-plans of ${parent.id} could not be made; trying again`, error);
      clock.at(clock.now() + RETRY_AFTER_MS, () => void this.#spawn(spawn));
    }
  }

  /** The plan was cancelled while its sub-plans were on their way: they are made, so that there is a record of them, and end. */
  #cancelNew(made: readonly { plan: string; created: boolean }[], turn: Turn): void {
    for (const { plan: id, created } of made) {
      const plan = created ? this.#engine.plans.get(id) : undefined;
      if (plan !== undefined) {
        this.#engine.director.cancel(plan, false, turn);
      }
    }
  }
}
