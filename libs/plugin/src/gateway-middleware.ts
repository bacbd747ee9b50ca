import type { JsonObject } from '@dynflow/kernel';
import type { ActionView, LocalInvocation, LocalOutcome, PhasedPlan, PlanEvent, PlanView } from '@dynflow/contracts';
import { orderMiddleware, type MiddlewareList, type NamedMiddleware } from './middleware-rules.js';

/** What stands around a local action's run: its full name, its input before it is parsed, and all that it is invoked with. */
export interface LocalCall {
  readonly action: string;
  readonly input: JsonObject;
  readonly invocation: LocalInvocation;
}

/**
 * Code that stands around what happens inside the gateway. All but `run` hold for every plan of the gateway when a plugin brings them,
 * and for its own action's when an action does; `run` is for the plugin's own local actions.
 *
 * - `run`: around an invocation of a local action, in the director's turn: synchronous, and pure as the action is.
 * - `planPhase`: around the planning of a plan as a whole. `pass` answers the names of the planned actions; what is thrown ends the
 *   planning in error. While any is in use, each plan is recorded before it is planned, which costs it a commit.
 * - `finalizePhase`: around the time from the first finalize step to the plan's rest. It can change nothing; what it throws is logged.
 * - `present`: what readers see of an action; what is stored stays as it is. If it throws, input and output are not shown.
 * - `hook`: around each call of a hook.
 */
export interface GatewayMiddleware extends NamedMiddleware {
  run?: (pass: (input?: JsonObject) => LocalOutcome, call: LocalCall) => LocalOutcome;
  planPhase?: (pass: () => Promise<string[]>, plan: PhasedPlan) => Promise<void>;
  finalizePhase?: (pass: () => Promise<void>, plan: PhasedPlan) => Promise<void>;
  present?: (pass: (view?: ActionView) => ActionView, view: ActionView, plan: PlanView) => ActionView;
  hook?: (pass: () => Promise<void>, event: PlanEvent) => Promise<void>;
}

/** Declares a middleware of the gateway's; it only helps the compiler. */
export function defineGatewayMiddleware(middleware: GatewayMiddleware): GatewayMiddleware {
  return middleware;
}

/** What is needed of a plugin to know what stands around what. */
export interface GatewayMiddlewareSource {
  readonly name: string;
  readonly gateway?: {
    readonly middleware?: MiddlewareList<GatewayMiddleware>;
    readonly actions?: readonly { readonly name: string; readonly middleware?: MiddlewareList<GatewayMiddleware> }[];
  };
}

/** What stands around what in a gateway with these plugins. */
export class GatewayStacks {
  /** Around plans as a whole, the outermost first. */
  readonly world: readonly GatewayMiddleware[];
  readonly #lists: readonly MiddlewareList<GatewayMiddleware>[];
  readonly #aroundAction = new Map<string, readonly GatewayMiddleware[]>();
  readonly #aroundRun = new Map<string, readonly GatewayMiddleware[]>();

  /** @throws MiddlewareCycleError */
  constructor(plugins: readonly GatewayMiddlewareSource[]) {
    this.#lists = plugins.map(({ gateway }) => gateway?.middleware ?? []);
    this.world = orderMiddleware(this.#lists, 'the gateway');
    for (const plugin of plugins) {
      for (const action of plugin.gateway?.actions ?? []) {
        const name = `${plugin.name}.${action.name}`;
        const own = action.middleware ?? [];
        this.#aroundAction.set(name, own.length === 0 ? this.world : orderMiddleware([...this.#lists, own], name));
        this.#aroundRun.set(
          name,
          orderMiddleware([plugin.gateway?.middleware ?? [], own], name).filter(({ run }) => run !== undefined),
        );
      }
    }
  }

  /** Around what is shown of an action, and around its hooks. */
  aroundAction(action: string): readonly GatewayMiddleware[] {
    return this.#aroundAction.get(action) ?? this.world;
  }

  /** Around the run of a local action. */
  aroundRun(action: string): readonly GatewayMiddleware[] {
    return this.#aroundRun.get(action) ?? [];
  }
}
