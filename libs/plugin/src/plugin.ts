import { z } from 'zod';
import type { JsonObject } from '@dynflow/kernel';
import {
  ActionDeclaration,
  PluginDeclaration,
  type FeatureDeclaration,
  type HttpAnswerV1,
  type HttpRequestV1,
  type OperationDeclaration,
  type PluginHealth,
  type RouteDeclaration,
} from '@dynflow/contracts';
import type { ActionDefinition, DocumentStore, PluginLog } from './action.js';
import type { GatewayApi, GatewayRoute } from './gateway-api.js';
import type { GatewayMiddleware } from './gateway-middleware.js';
import type { PlanHookFor } from './hooks.js';
import { isAskedFor, middlewareOf, type Middleware } from './middleware.js';
import type { MiddlewareList } from './middleware-rules.js';
import type { Effect, EffectContext, LocalActionDefinition } from './local-action.js';

/** What a plugin gets at start. */
export interface PluginContext<Settings> {
  settings: Settings;
  store: DocumentStore;
  log: PluginLog;
}

/** A route that an executor answers; the gateway carries request and answer over the bus. */
export interface PluginRoute<Services> extends RouteDeclaration {
  handle(request: HttpRequestV1, services: Services): Promise<Partial<HttpAnswerV1>>;
}

/** The part of a plugin that is loaded into the gateway. Executor plugins have none. */
export interface GatewayPart<Settings> {
  actions?: LocalActionDefinition[];
  /** Around what happens in the gateway; see `GatewayMiddleware`. */
  middleware?: MiddlewareList<GatewayMiddleware>;
  /** Called when a plan with one of these actions, of any plugin, comes into a state. */
  hooks?: readonly PlanHookFor[];
  effects?: (settings: Settings, context: EffectContext) => Record<string, Effect>;
  routes?: (gateway: GatewayApi, settings: Settings, log: PluginLog) => GatewayRoute[];
}

/** A plugin as its author declares it. */
export interface PluginDefinition<SettingsSchema extends z.ZodType = z.ZodType, Services = unknown> {
  /** Its package name, which is also its name in every subject. */
  name: string;
  version: string;
  /** `section` of the configuration file, `DYNFLOW_<SECTION>_<SETTING>` in the environment. Setting names in snake case. */
  settings: { section: string; schema: SettingsSchema };
  actions?: ActionDefinition<z.ZodType, Services>[];
  /** Around all actions of the plugin, outside of their own; see `Middleware`. */
  middleware?: MiddlewareList<Middleware>;
  operations?: OperationDeclaration[];
  features?: (settings: z.output<SettingsSchema>) => FeatureDeclaration[];
  routes?: PluginRoute<Services>[];
  aliases?: Record<string, string>;
  /** Whether it can work here: programs found, files readable. What is broken is not advertised, with this reason. */
  check?: (settings: z.output<SettingsSchema>) => Promise<PluginHealth>;
  /** Makes what the actions share. Called once, before the first run. */
  start?: (context: PluginContext<z.output<SettingsSchema>>) => Promise<Services>;
  stop?: (services: Services) => Promise<void>;
  gateway?: GatewayPart<z.output<SettingsSchema>>;
}

/** A plugin whatever its settings and services are: what a host of plugins works with. */
// The two parameters stand in contravariant places, so `unknown` would not take any concrete plugin.
// oxlint-disable-next-line typescript/no-explicit-any
export type Plugin = PluginDefinition<any, any>;

/** Declares a plugin: `export const plugin = definePlugin({ … })` is the one export that its package needs. */
export function definePlugin<SettingsSchema extends z.ZodType, Services>(definition: PluginDefinition<SettingsSchema, Services>): Plugin {
  return definition;
}

/** What the gateway knows of the plugin: its declaration as data, with JSON Schemas of the inputs. */
export function declarationOf(plugin: Plugin, settings: unknown): PluginDeclaration {
  const executed = (plugin.actions ?? []).map((action) => declareAction(plugin.name, action, middlewareOf(plugin, action)));
  const local = (plugin.gateway?.actions ?? []).map((action) => declareLocalAction(plugin.name, action));
  return PluginDeclaration.parse({
    plugin: plugin.name,
    pluginVersion: plugin.version,
    actions: [...executed, ...local],
    operations: plugin.operations ?? [],
    features: plugin.features?.(settings) ?? [],
    routes: (plugin.routes ?? []).map(({ method, path, access, summary }) => ({ method, path, access, summary })),
    aliases: plugin.aliases ?? {},
  });
}

function declareAction(plugin: string, action: ActionDefinition, middleware: readonly Middleware[]): ActionDeclaration {
  return ActionDeclaration.parse({
    name: `${plugin}.${action.name}`,
    version: action.version ?? 1,
    inputSchema: inputSchemaOf(action.input),
    secrets: action.secrets,
    plan: isAskedFor('plan', middleware) ? { kind: 'asked' } : planOf(action.plan),
    run: action.run !== undefined,
    finalize: typeof action.finalize === 'function' ? { kind: 'run' } : action.finalize,
    queue: action.queue,
    rescueStrategy: action.rescueStrategy,
    cancellable: action.cancellable,
    cancelParked: action.cancelParked,
    resumable: action.resumable,
    idempotent: action.idempotent,
    initialOutput: action.initialOutput,
    chunksAs: action.chunksAs,
    abandonedOutput: action.abandonedOutput,
    subscribesTo: action.subscribesTo,
    delay: action.delay !== undefined || isAskedFor('delay', middleware) ? 'asked' : 'plain',
    progressWeights: action.progressWeights,
    stateNames: action.stateNames,
    singleton: action.singleton,
    retry: action.retry,
    timeLimits: action.timeLimits,
    limits: action.limits,
  });
}

function declareLocalAction(plugin: string, action: LocalActionDefinition): ActionDeclaration {
  return ActionDeclaration.parse({
    name: `${plugin}.${action.name}`,
    version: action.version ?? 1,
    inputSchema: inputSchemaOf(action.input),
    plan: planOf(action.plan),
    run: action.run !== undefined,
    rescueStrategy: action.rescueStrategy,
    cancellable: action.cancellable,
    initialOutput: action.initialOutput,
    subscribesTo: action.subscribesTo,
    progressWeights: action.progressWeights,
    stateNames: action.stateNames,
    singleton: action.singleton,
    retry: action.retry,
    timeLimits: action.timeLimits,
    limits: action.limits,
  });
}

function planOf(plan: ActionDefinition['plan'] | LocalActionDefinition['plan']): unknown {
  if (plan === undefined) {
    return { kind: 'self' };
  }
  return typeof plan === 'function' ? { kind: 'asked' } : { kind: 'data', nodes: plan };
}

function inputSchemaOf(schema: z.ZodType): JsonObject {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as unknown as JsonObject;
}
