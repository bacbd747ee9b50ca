import type { OutcomeV1 } from '@dynflow/contracts';
import type { TriggerInput } from '@dynflow/engine';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import {
  GatewayStacks,
  declarationOf,
  failureOf,
  middlewareOf,
  performDelay,
  performPlanPhase,
  runLocalAction,
  type ActionDefinition,
  type ActionWithMiddleware,
  type Effect,
  type Plugin,
} from '@dynflow/plugin';
import { MemoryDocumentStore, runAction, silentLog } from '@dynflow/plugin/testing';
import { EngineWorld } from '../engine/engine-world.js';
import type { ManualClock } from '../engine/manual-clock.js';
import type { PlanRecord } from '../engine/plan-record.js';
import type { ActionOptions, Behaviour } from '../engine/scripted-catalogue.js';
import type { HeldStep } from '../engine/scripted-executor.js';

/** How a plugin takes part in a {@link PluginWorld}. */
export interface WorldPlugin {
  readonly plugin: Plugin;
  /** As an operator writes them; defaults are filled in. */
  readonly settings?: Record<string, unknown>;
  /** Instead of what the plugin's `start` makes; then neither `start` nor `stop` is called. */
  readonly services?: unknown;
}

interface StartedPlugin {
  readonly plugin: Plugin;
  readonly settings: Record<string, unknown>;
  readonly services: unknown;
  readonly isOurs: boolean;
}

/** More appointments in a row than any plan needs: what goes on longer goes round in circles. */
const MAX_APPOINTMENTS = 10_000;

/**
 * A gateway's engine and the executors of some plugins in one thread, with a clock that stands still until it is moved: a plan runs from
 * its planning to its end in one call, through the plugins' own code.
 *
 * Real: the engine, planning, flows, local actions, effects, middleware around phases, schemas, suspending, retrying, resuming.
 * Not there: HTTP, the bus, sealed secrets (give them in the input), the hooks of the gateway. Output is kept as it was written.
 */
export class PluginWorld {
  readonly #world = new EngineWorld();
  readonly #plugins: readonly StartedPlugin[];
  readonly #store = new MemoryDocumentStore();
  readonly #stubs = new Set<string>();

  private constructor(plugins: readonly StartedPlugin[]) {
    this.#plugins = plugins;
    const stacks = new GatewayStacks(plugins.map(({ plugin }) => plugin));
    const effects = new Map<string, Effect>();
    for (const started of plugins) {
      this.#declare(started, stacks, effects);
    }
    this.#world.perform = async ({ action, name, payload }) => {
      const effect = effects.get(`${pluginNameOf(action)}.${name}`);
      if (effect === undefined) {
        throw new Error(`the plugin of ${action} has no effect "${name}"`);
      }
      return effect(payload, { signal: new AbortController().signal, log: silentLog });
    };
  }

  /** Starts the plugins and makes the world. Call {@link stop} when done if one of them has something to stop. */
  static async start(...plugins: (Plugin | WorldPlugin)[]): Promise<PluginWorld> {
    const started: StartedPlugin[] = [];
    for (const each of plugins) {
      const { plugin, settings: given = {}, services }: WorldPlugin = 'plugin' in each ? each : { plugin: each };
      const settings = (plugin.settings.schema as { parse(given: unknown): Record<string, unknown> }).parse(given);
      const made: unknown = services ?? (await plugin.start?.({ settings, store: new MemoryDocumentStore(), log: silentLog }));
      started.push({ plugin, settings, services: made, isOurs: services === undefined });
    }
    return new PluginWorld(started);
  }

  async stop(): Promise<void> {
    for (const { plugin, services, isOurs } of this.#plugins) {
      if (isOurs) {
        await plugin.stop?.(services);
      }
    }
  }

  /** Stands still until it is moved by {@link run}, {@link advance} or you. */
  get clock(): ManualClock {
    return this.#world.clock;
  }

  /** The engine with its manual executors, for whatever this class has no word for. */
  get engine(): EngineWorld {
    return this.#world;
  }

  /** Documents that the plugins' runs have kept. */
  get store(): MemoryDocumentStore {
    return this.#store;
  }

  /**
   * Stands in for an action of a plugin that is not here, or for one that is: it is planned with these options, and a fake executor
   * answers its run. Default: one run phase that is done with an empty output.
   */
  stub(action: string, options: ActionOptions = {}, behaviour?: Behaviour): void {
    this.#stubs.add(action);
    this.#world.actions.executor(action, options, behaviour);
  }

  /** Plans an action and lets nothing run but what runs inside the gateway. @returns the plan as it was planned. */
  async plan(action: string, input: JsonObject = {}, more: Omit<TriggerInput, 'action' | 'input'> = {}): Promise<PlanRecord> {
    const plan = await this.#world.trigger(action, input, more);
    return this.#world.plan(plan);
  }

  /** Plans an action and runs it to its end, however much time that takes on this world's clock. @throws as {@link finish}. */
  async run(action: string, input: JsonObject = {}, more: Omit<TriggerInput, 'action' | 'input'> = {}): Promise<PlanRecord> {
    const { row } = await this.plan(action, input, more);
    return this.finish(row.id);
  }

  /**
   * Runs a plan until it rests: stopped, or paused. Time passes as far as its next appointments are away; what else the clock holds does
   * not matter.
   *
   * @throws Error when nothing happens any more and the plan does not rest: it waits for an event, say.
   */
  async finish(plan: string): Promise<PlanRecord> {
    for (let moves = 0; moves < MAX_APPOINTMENTS; moves += 1) {
      await this.runReady();
      const record = this.record(plan);
      if (record.state === 'stopped' || record.state === 'paused') {
        return record;
      }
      const { nextAtMs } = this.clock;
      if (nextAtMs === null) {
        const waits = record.steps.flatMap(({ id, waitingFor }) => (waitingFor === null ? [] : [`step ${id} for ${waitingFor}`]));
        throw new Error(`the plan ${plan} is ${record.state} and nothing happens any more; it waits: ${waits.join(', ') || 'for nothing'}`);
      }
      await this.#world.advance(Math.max(0, nextAtMs - this.clock.now()));
    }
    throw new Error(`the plan ${plan} does not come to rest within ${MAX_APPOINTMENTS} appointments`);
  }

  /** Runs all steps that may run now, and what follows from them now. */
  async runReady(): Promise<void> {
    await this.#world.settle();
    while (this.#world.tokens.length > 0) {
      const answer = await this.#world.tryClaim();
      if (!('result' in answer)) {
        await this.#perform(answer);
      }
    }
  }

  /** Runs the next step that may run now. @returns false if there is none. */
  async runOne(): Promise<boolean> {
    await this.#world.settle();
    while (this.#world.tokens.length > 0) {
      const answer = await this.#world.tryClaim();
      if (!('result' in answer)) {
        await this.#perform(answer);
        return true;
      }
    }
    return false;
  }

  /** Lets time pass, and runs what that brings. */
  async advance(ms: number): Promise<void> {
    await this.#world.advance(ms);
    await this.runReady();
  }

  /** Sends an event to a step and runs what that brings. @returns false if the step takes none any more. */
  async sendEvent(plan: string, step: number, data: JsonValue): Promise<boolean> {
    const isTaken = await this.#world.ask(async (engine) => engine.sendEvent(plan, step, data));
    await this.runReady();
    return isTaken;
  }

  /** Cancels a plan and runs what that brings. */
  async cancel(plan: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#world.ask(async (engine) => engine.cancel(plan, options));
    await this.runReady();
  }

  /** Resumes a paused plan and runs it to its next rest. */
  async resume(plan: string): Promise<PlanRecord> {
    await this.#world.ask(async (engine) => engine.resume(plan));
    return this.finish(plan);
  }

  /** Skips a failed step of a paused plan, with what depends on it. */
  async skip(plan: string, step: number): Promise<PlanRecord> {
    await this.#world.ask(async (engine) => engine.skip(plan, step));
    return this.record(plan);
  }

  /** A plan as it is committed now. @throws Error if there is none. */
  record(plan: string): PlanRecord {
    return this.#world.plan(plan);
  }

  /** All plans, sub-plans among them, oldest first. */
  get plans(): PlanRecord[] {
    return this.#world.plans;
  }

  /** What an action's runs have written, joined. */
  text(plan: string, action = 1): string {
    return this.#world.text(plan, action);
  }

  #declare({ plugin, settings }: StartedPlugin, stacks: GatewayStacks, effects: Map<string, Effect>): void {
    const { actions } = this.#world;
    const declarations = new Map(declarationOf(plugin, settings).actions.map((declaration) => [declaration.name, declaration]));
    for (const action of plugin.actions ?? []) {
      const around = aroundOf(plugin, action);
      const declaration = declarations.get(around.name);
      const options: ActionOptions = { ...declaration };
      if (declaration?.plan.kind === 'asked') {
        actions.asked(around.name, async (input) => orError(async () => performPlanPhase(around, input)), options);
      } else {
        actions.executor(around.name, options);
      }
      actions.onDelay(around.name, async (input, schedule) =>
        orError(async () => ({ input: await performDelay(around, input, schedule) })),
      );
    }
    for (const { name: shortName, run, input } of plugin.gateway?.actions ?? []) {
      const name = `${plugin.name}.${shortName}`;
      actions.local(
        name,
        (invocation) => {
          if (run === undefined) {
            throw new Error(`the action ${name} has no run`);
          }
          return runLocalAction({ name, run, input }, invocation, stacks.aroundRun(name));
        },
        { ...declarations.get(name) },
      );
    }
    const context = { log: silentLog, ownTls: { cert: null, key: null, ca: null }, stopped: new AbortController().signal };
    for (const [name, effect] of Object.entries(plugin.gateway?.effects?.(settings, context) ?? {})) {
      effects.set(`${plugin.name}.${name}`, effect);
    }
  }

  /** Does with a claimed step what its plugin's code does, or what its stub says. */
  async #perform(held: HeldStep): Promise<void> {
    const { grant } = held;
    const started = this.#plugins.find(({ plugin }) => plugin.name === pluginNameOf(grant.action));
    const shortName = grant.action.slice(grant.action.indexOf('.') + 1);
    if (started?.plugin.actions?.some(({ name }) => name === shortName) !== true || this.#stubs.has(grant.action)) {
      await this.#world.performStep(held);
      return;
    }
    const { outcome, chunks, updates, progress, plannedEvents } = await runAction(started.plugin, shortName, {
      input: grant.input,
      phase: grant.phase,
      output: grant.output,
      attempt: grant.attempt,
      events: grant.events,
      settings: started.settings,
      services: started.services ?? {},
      store: this.#store,
      ...(grant.checkpoint === undefined ? {} : { checkpoint: grant.checkpoint }),
      ...(grant.subPlans === undefined ? {} : { subPlans: grant.subPlans }),
      ...(grant.cancel === undefined ? {} : { cancel: grant.cancel }),
    });
    const reports: OutcomeV1[] = [
      ...updates.map((update): OutcomeV1 => ({ kind: 'checkpoint', ...update })),
      ...progress.map((fraction): OutcomeV1 => ({ kind: 'checkpoint', progress: fraction })),
      ...(plannedEvents.length === 0 ? [] : [{ kind: 'checkpoint' as const, planEvents: plannedEvents }]),
    ];
    for (const report of reports) {
      await this.#world.report(held, report);
    }
    await this.#world.report(
      held,
      outcome,
      chunks.map(({ text }) => text),
    );
  }
}

function pluginNameOf(action: string): string {
  return action.slice(0, action.indexOf('.'));
}

function aroundOf(plugin: Plugin, action: ActionDefinition): ActionWithMiddleware {
  return { name: `${plugin.name}.${action.name}`, action, middleware: middlewareOf(plugin, action) };
}

/** What an executor answers when it is asked: what came of it, or the error. */
async function orError<T>(
  work: () => Promise<T>,
): Promise<T | { error: Extract<ReturnType<typeof failureOf>, { kind: 'failed' }>['error'] }> {
  try {
    return await work();
  } catch (error) {
    const outcome = failureOf(error);
    if (outcome.kind !== 'failed') {
      throw error;
    }
    return { error: outcome.error };
  }
}
