import { InvalidInputError, NotFoundError, messageOf, type JsonValue } from '@dynflow/kernel';
import type { LocalInvocation, LocalResult } from '@dynflow/contracts';
import type { LocalRunner } from '@dynflow/engine';
import { LocalRunContext, type Effect, type EffectContext, type LocalActionDefinition, type Plugin } from '@dynflow/plugin';

/** Runs the local actions of the plugins that are loaded into the gateway, and performs their effects. */
export class LocalHost implements LocalRunner {
  readonly #actions = new Map<string, LocalActionDefinition>();
  readonly #effects = new Map<string, Effect>();
  readonly #contexts = new Map<string, EffectContext>();
  readonly #abort = new AbortController();

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
    const parsed = definition.input.safeParse(invocation.input);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const field = `input.${issue?.path.join('.') ?? ''}`;
      throw new InvalidInputError(field, `${field}: ${issue?.message ?? messageOf(parsed.error)}`);
    }
    const context = new LocalRunContext(invocation, parsed.data);
    const outcome = definition.run(context as LocalRunContext<never>);
    return { outcome, commands: context.commands };
  }

  async perform(action: string, name: string, payload: JsonValue): Promise<JsonValue> {
    const plugin = action.slice(0, action.indexOf('.'));
    const effect = this.#effects.get(`${plugin}.${name}`);
    const context = this.#contexts.get(plugin);
    if (effect === undefined || context === undefined) {
      throw new NotFoundError('DYN_UNKNOWN_EFFECT', `the plugin ${plugin} has no effect "${name}"`);
    }
    return effect(payload, { signal: this.#abort.signal, log: context.log });
  }

  /** Ends what effects are doing outside; they are asked for again after the next start. */
  stop(): void {
    this.#abort.abort();
  }
}
