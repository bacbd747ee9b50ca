import { NotFoundError, type JsonValue } from '@dynflow/kernel';
import type { LocalInvocation, LocalResult } from '@dynflow/contracts';
import type { LocalRunner } from '@dynflow/engine';
import {
  GatewayStacks,
  NotJsonError,
  jsonFaultOf,
  runLocalAction,
  type Effect,
  type EffectContext,
  type LocalActionDefinition,
  type Plugin,
} from '@dynflow/plugin';

/** Runs the local actions of the plugins that are loaded into the gateway, and performs their effects. */
export class LocalHost implements LocalRunner {
  readonly #actions = new Map<string, LocalActionDefinition>();
  readonly #effects = new Map<string, Effect>();
  readonly #contexts = new Map<string, EffectContext>();
  readonly #abort = new AbortController();
  readonly #stacks: GatewayStacks;

  constructor(stacks: GatewayStacks = new GatewayStacks([])) {
    this.#stacks = stacks;
  }

  /** Aborted by {@link stop}. */
  get stopped(): AbortSignal {
    return this.#abort.signal;
  }

  add(plugin: Plugin, settings: unknown, context: EffectContext): void {
    for (const action of plugin.gateway?.actions ?? []) {
      this.#actions.set(`${plugin.name}.${action.name}`, action);
    }
    for (const [name, effect] of Object.entries(plugin.gateway?.effects?.(settings, context) ?? {})) {
      this.#effects.set(`${plugin.name}.${name}`, effect);
    }
    this.#contexts.set(plugin.name, context);
  }

  run(action: string, invocation: LocalInvocation): LocalResult {
    const definition = this.#actions.get(action);
    if (definition?.run === undefined) {
      throw new NotFoundError('DYN_UNKNOWN_ACTION', `the gateway has no local action "${action}" that runs`);
    }
    const { run, input } = definition;
    return runLocalAction({ name: action, run, input }, invocation, this.#stacks.aroundRun(action));
  }

  async perform(action: string, name: string, payload: JsonValue): Promise<JsonValue> {
    const plugin = action.slice(0, action.indexOf('.'));
    const effect = this.#effects.get(`${plugin}.${name}`);
    const context = this.#contexts.get(plugin);
    if (effect === undefined || context === undefined) {
      throw new NotFoundError('DYN_UNKNOWN_EFFECT', `the plugin ${plugin} has no effect "${name}"`);
    }
    const value: unknown = await effect(payload, { signal: this.#abort.signal, log: context.log });
    const fault = jsonFaultOf(value, 'value');
    if (fault !== null) {
      throw new NotJsonError('DYN_INVALID_OUTPUT', `what the effect ${plugin}.${name} answered`, fault);
    }
    return value as JsonValue;
  }

  /** Ends what effects are doing outside; they are asked for again after the next start. */
  stop(): void {
    this.#abort.abort();
  }
}
