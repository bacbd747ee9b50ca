import type { PlanEvent, PlanEventKind } from '@dynflow/contracts';
import type { GatewayApi } from './gateway-api.js';

/**
 * Code that is called when a plan with a certain action comes into a state. It runs in the gateway, after the commit, once a plan,
 * action and kind.
 *
 * At most once: a gateway that dies between the commit and the call does not make up for it. What must not be lost belongs into an
 * action. What a hook throws is logged and changes nothing; one plan's hooks are called one after the other.
 */
export interface PlanHook {
  /** By which a derived action can leave it out. */
  readonly name: string;
  /** Default: the seven states. */
  readonly on?: readonly PlanEventKind[];
  run(event: PlanEvent, gateway: GatewayApi): void | Promise<void>;
}

/** What an action says about hooks: use this one, or leave out an inherited one, for all kinds or some. */
export type HookRule = PlanHook | { readonly withoutHook: string; readonly on?: readonly PlanEventKind[] };

/** A hook on actions of any plugin, by their full names. */
export interface PlanHookFor extends PlanHook {
  readonly actions: readonly string[];
}

/** Declares a hook; it only helps the compiler. */
export function defineHook<Hook extends PlanHook>(hook: Hook): Hook {
  return hook;
}

/** Leaves out a hook of the action that this one is derived from. */
export function withoutHook(name: string, on?: readonly PlanEventKind[]): HookRule {
  return on === undefined ? { withoutHook: name } : { withoutHook: name, on };
}

/** What a hook without `on` is called for. */
export const PLAN_STATE_KINDS: readonly PlanEventKind[] = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused', 'stopped'];

/** A hook with all that it is called for. */
export interface ResolvedHook {
  readonly hook: PlanHook;
  readonly kinds: ReadonlySet<PlanEventKind>;
}

/** What remains of a list of rules, in order. A hook that is named again replaces the earlier one. */
export function resolveHooks(rules: readonly HookRule[]): ResolvedHook[] {
  const hooks = new Map<string, { hook: PlanHook; kinds: Set<PlanEventKind> }>();
  for (const rule of rules) {
    if ('withoutHook' in rule) {
      const known = hooks.get(rule.withoutHook);
      for (const kind of rule.on ?? known?.kinds ?? []) {
        known?.kinds.delete(kind);
      }
    } else {
      hooks.set(rule.name, { hook: rule, kinds: new Set(rule.on ?? PLAN_STATE_KINDS) });
    }
  }
  return [...hooks.values()].filter(({ kinds }) => kinds.size > 0);
}
