import { z } from 'zod';
import { Json, JsonRecord } from '../json.js';
import { ActionName, SubjectToken } from '../names.js';
import { ActionDeclaration } from './action-declaration.js';

/** How an operation's jobs are launched by `POST /tasks/launch`: one plan, one plan a host, or one run for a group of hosts. */
export const LauncherKind = z.enum(['single', 'batch', 'group']);
export type LauncherKind = z.infer<typeof LauncherKind>;

/** A name that Foreman launches by (`ssh`, `ansible-runner`, `salt`) and the action behind it. */
export const OperationDeclaration = z.object({
  name: z.string().min(1),
  launcher: LauncherKind,
  action: ActionName,
});
export type OperationDeclaration = z.infer<typeof OperationDeclaration>;

/** A smart proxy feature that Foreman knows (`script`, `ansible`, `salt`) with its capabilities and public settings. */
export const FeatureDeclaration = z.object({
  name: z.string().min(1),
  capabilities: z.array(z.string()).default([]),
  settings: z.record(z.string(), Json).default({}),
});
export type FeatureDeclaration = z.infer<typeof FeatureDeclaration>;

/** An HTTP route that a plugin answers; the gateway carries it over the bus. `:name` marks a parameter of the path. */
export const RouteDeclaration = z.object({
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE']),
  path: z.string().regex(/^\/[A-Za-z0-9_/:-]*$/, 'expected an absolute path such as "/ssh/pubkey"'),
  /** Who may call: anybody, a trusted caller (client certificate or loopback), or a host by its certificate. */
  access: z.enum(['open', 'trusted', 'host']),
  summary: z.string(),
});
export type RouteDeclaration = z.infer<typeof RouteDeclaration>;

/** The outcome of a plugin's start-up check; `reason` says what is missing and what to do. */
export const PluginHealth = z.discriminatedUnion('state', [
  z.object({ state: z.literal('running') }),
  z.object({ state: z.literal('broken'), reason: z.string() }),
]);
export type PluginHealth = z.infer<typeof PluginHealth>;

/** What a plugin can do, wherever it runs. */
export const PluginDeclaration = z.object({
  plugin: SubjectToken,
  pluginVersion: z.string(),
  actions: z.array(ActionDeclaration),
  operations: z.array(OperationDeclaration).default([]),
  features: z.array(FeatureDeclaration).default([]),
  routes: z.array(RouteDeclaration).default([]),
  /** Names of older times for actions, `old name → full name`; Foreman sends them. */
  aliases: z.record(z.string(), ActionName).default({}),
});
export type PluginDeclaration = z.infer<typeof PluginDeclaration>;

/** An executor's announcement: who it is, what it can do, and whether it is able to. */
export const ManifestV1 = z.object({
  type: z.literal('manifest'),
  version: z.literal(1),
  /** Message versions that this executor speaks. */
  contracts: z.object({ min: z.number().int(), max: z.number().int() }),
  executor: SubjectToken,
  /** New at every start of the process: the same executor with another start id has lost what it held. */
  startId: z.string(),
  site: SubjectToken.default('default'),
  slots: z.number().int().positive(),
  health: PluginHealth,
  declaration: PluginDeclaration,
  settings: JsonRecord.default({}),
});
export type ManifestV1 = z.infer<typeof ManifestV1>;

/** The gateway's answer to a manifest. Refused: nothing of this executor is used, and `reason` says why. */
export const ManifestAnswerV1 = z.object({
  type: z.literal('manifest.answer'),
  version: z.literal(1),
  accepted: z.boolean(),
  reason: z.string().optional(),
});
export type ManifestAnswerV1 = z.infer<typeof ManifestAnswerV1>;

/** The range of message versions that this release speaks. */
export const CONTRACTS = { min: 1, max: 1 } as const;
