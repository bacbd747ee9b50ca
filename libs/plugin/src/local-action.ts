import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type {
  ActionView,
  LocalCommand,
  LocalEvent,
  LocalInvocation,
  LocalOutcome,
  LimitDeclaration,
  PlanNode,
  RescueStrategy,
  RetryPolicy,
  SubPlanCounts,
  SubPlanRequest,
  TimeLimits,
} from '@dynflow/contracts';
import type { z } from 'zod';
import type { GatewayMiddleware } from './gateway-middleware.js';
import type { HookRule } from './hooks.js';
import type { Derivable } from './middleware.js';
import type { MiddlewareList } from './middleware-rules.js';
import type { PluginLog } from './run-context.js';

/** What a local action's `run` gets. It is synchronous and pure: it decides; the gateway does. */
export class LocalRunContext<Input = JsonObject> {
  readonly commands: LocalCommand[] = [];
  readonly plan: string;
  readonly step: number;
  readonly attempt: number;
  readonly nowMs: number;
  readonly output: JsonObject;
  readonly checkpoint: JsonValue | undefined;
  /** What the plan was triggered with as sealed secrets, opaque: to be handed on to sub-plans. */
  readonly sealedSecrets: string | undefined;
  /** Why it is invoked; undefined at the first invocation, after a restart and after a resume. */
  readonly event: LocalEvent | undefined;
  /** How its sub-plans stand now, also after a restart or a resume; undefined when it has none. */
  readonly subPlans: SubPlanCounts | undefined;

  constructor(
    invocation: LocalInvocation,
    readonly input: Input,
  ) {
    this.plan = invocation.plan;
    this.step = invocation.step;
    this.attempt = invocation.attempt;
    this.nowMs = invocation.nowMs;
    this.output = invocation.output;
    this.checkpoint = invocation.checkpoint;
    this.sealedSecrets = invocation.sealedSecrets;
    this.event = invocation.event;
    this.subPlans = invocation.subPlans;
  }

  /**
   * Makes sub-plans of this plan; in the same turn comes the event `spawned`. Ids that exist are left alone; without ids, asking again in
   * the same invocation of the step makes the same ones. At most `concurrencyLimit` of this action's run at once; with 0 none begins
   * before {@link startSubPlans}.
   */
  spawn(children: SubPlanRequest[], options: { concurrencyLimit?: number } = {}): void {
    this.commands.push({ kind: 'spawn', children, ...options });
  }

  /** That many of the sub-plans that wait begin, the oldest first, whatever the limit. */
  startSubPlans(count: number): void {
    this.commands.push({ kind: 'startSubPlans', count });
  }

  /** All sub-plans that wait end without having begun, with this message. */
  cancelWaitingSubPlans(message: string): void {
    this.commands.push({ kind: 'cancelWaitingSubPlans', message });
  }

  /** Gives this step an `external` event after some time, however often it is invoked meanwhile; dropped when the step ends before. */
  planEvent(data: JsonValue, afterMs: number): void {
    this.commands.push({ kind: 'planEvent', data, afterMs });
  }

  /**
   * Has one of the plugin's effects performed after the commit of this turn; its result is the next event. At-least-once: after a
   * restart the action is invoked without event and may ask again. References to outputs in `payload` are resolved on the way.
   */
  effect(name: string, payload: JsonValue): void {
    this.commands.push({ kind: 'effect', name, payload });
  }
}

/** An action that runs inside the gateway. */
export interface LocalActionDefinition<Schema extends z.ZodType = z.ZodType> {
  name: string;
  version?: number;
  input: Schema;
  plan?: PlanNode[];
  run?: (context: LocalRunContext<z.output<Schema>>) => LocalOutcome;
  rescueStrategy?: RescueStrategy;
  cancellable?: boolean;
  initialOutput?: JsonObject;
  /** See `ActionDefinition.subscribesTo`. */
  subscribesTo?: string[];
  /** How much its run counts in the plan's progress; 1 unless given. */
  progressWeights?: { run: number; finalize: number };
  /** What states of its step are called when people look. */
  stateNames?: Record<string, string>;
  /** Around its runs, its hooks and what is shown of it, inside of what plugins bring. */
  middleware?: MiddlewareList<GatewayMiddleware>;
  /** What readers see of it: inside of all middleware. What is stored stays as it is. */
  present?: (view: ActionView) => ActionView;
  /** Called when a plan with this action comes into a state. */
  hooks?: readonly HookRule[];
  /** Set by `extendAction`. */
  derivedFrom?: Derivable;
  /** At most one plan with this action is under way at a time; another one fails in its planning. */
  singleton?: boolean;
  /** Failed runs are repeated by this before anybody is asked; each begins without event and checkpoint. */
  retry?: z.input<typeof RetryPolicy>;
  /** How long it may take in all, from its first invocation; the other phases are of no length here. */
  timeLimits?: Pick<TimeLimits, 'runMs'>;
  /** How many are under way at once, or begun within a time. */
  limits?: LimitDeclaration[];
}

/** Declares a local action. */
export function defineLocalAction<Schema extends z.ZodType>(definition: LocalActionDefinition<Schema>): LocalActionDefinition<Schema> {
  return definition;
}

/** What the gateway gives along to the effects of a plugin. */
export interface EffectContext {
  log: PluginLog;
  /** PEM files of the service's own certificate, for plugins that have none of their own configured. */
  ownTls: { cert: string | null; key: string | null; ca: string | null };
  /** Aborted when the gateway stops: connections that effects keep are closed then. */
  stopped: AbortSignal;
}

/** Something outside the gateway that a local action asks for: an HTTP request, say. What it throws is the event's error. */
export type Effect = (payload: JsonValue, context: { signal: AbortSignal; log: PluginLog }) => Promise<JsonValue>;
