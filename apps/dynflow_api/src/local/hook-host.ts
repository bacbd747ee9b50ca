import { messageOf } from '@dynflow/kernel';
import type { PlanHooks } from '@dynflow/engine';
import {
  resolveHooks,
  type GatewayApi,
  type GatewayStacks,
  type Plugin,
  type PlanEvent,
  type PlanEventKind,
  type PluginLog,
  type ResolvedHook,
} from '@dynflow/plugin';

interface HostedHook extends ResolvedHook {
  readonly log: PluginLog;
}

/**
 * Calls the hooks of the plugins that are loaded into the gateway, each through the middleware around it.
 *
 * What is thrown is logged. The hooks of one plan are called one after the other, in the order in which its states came; those of
 * different plans do not wait for each other.
 */
export class HookHost implements PlanHooks {
  readonly #hooks = new Map<string, HostedHook[]>();
  readonly #kinds = new Map<string, Set<PlanEventKind>>();
  readonly #stacks: GatewayStacks;
  readonly #gateway: () => GatewayApi;
  /** The last call of each plan that has one under way. */
  readonly #lastOf = new Map<string, Promise<void>>();

  /** @param gateway asked for at each call, because hooks are known before there is one. */
  constructor(stacks: GatewayStacks, gateway: () => GatewayApi) {
    this.#stacks = stacks;
    this.#gateway = gateway;
  }

  add(plugin: Plugin, log: PluginLog): void {
    for (const action of plugin.gateway?.actions ?? []) {
      this.#put(`${plugin.name}.${action.name}`, resolveHooks(action.hooks ?? []), log);
    }
    for (const hook of plugin.gateway?.hooks ?? []) {
      hook.actions.forEach((action) => this.#put(action, resolveHooks([hook]), log));
    }
  }

  kindsOf(action: string): ReadonlySet<PlanEventKind> | undefined {
    return this.#kinds.get(action);
  }

  call(event: PlanEvent): void {
    const before = this.#lastOf.get(event.plan) ?? Promise.resolve();
    const mine = before.then(async () => {
      for (const hosted of this.#hooks.get(event.action.name) ?? []) {
        if (hosted.kinds.has(event.kind)) {
          await this.#callOne(hosted, event);
        }
      }
      if (this.#lastOf.get(event.plan) === mine) {
        this.#lastOf.delete(event.plan);
      }
    });
    this.#lastOf.set(event.plan, mine);
  }

  /** Resolved when no hook is under way. */
  async settled(): Promise<void> {
    while (this.#lastOf.size > 0) {
      await Promise.all(this.#lastOf.values());
    }
  }

  async #callOne({ hook, log }: HostedHook, event: PlanEvent): Promise<void> {
    const levels = this.#stacks.aroundAction(event.action.name);
    const from = async (level: number): Promise<void> => {
      const around = levels[level];
      if (around === undefined) {
        await hook.run(event, this.#gateway());
      } else if (around.hook === undefined) {
        await from(level + 1);
      } else {
        await around.hook(async () => from(level + 1), event);
      }
    };
    try {
      await from(0);
    } catch (error) {
      log.error(`the hook ${hook.name} failed; nothing else is changed by that`, {
        plan: event.plan,
        action: event.action.name,
        kind: event.kind,
        reason: messageOf(error),
      });
    }
  }

  #put(action: string, hooks: readonly ResolvedHook[], log: PluginLog): void {
    if (hooks.length > 0) {
      this.#hooks.set(action, [...(this.#hooks.get(action) ?? []), ...hooks.map((hook) => ({ ...hook, log }))]);
      this.#kinds.set(action, new Set([...(this.#kinds.get(action) ?? []), ...hooks.flatMap(({ kinds }) => [...kinds])]));
    }
  }
}
