import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type {
  LauncherKind,
  PlanCount,
  PlanFilter,
  PlanQuery,
  PlanResult,
  PlanState,
  PlanSummary,
  PlanView,
  PluginHealth,
  RouteDeclaration,
  StepErrorV1,
  SubPlanRequest,
} from '@dynflow/contracts';

/** A request to make and start a plan. */
export interface TriggerRequest extends SubPlanRequest {
  /** Input keys that the action declares secret are sealed by the gateway; give them in `input`. */
  input: JsonObject;
  /** The caller's own word for this launch: a second one with it is the first one's plan. */
  idempotencyKey?: string;
}

/** An operation, where it is, and whether it can run now. `away`: its executors are gone for a moment; launches wait. */
export interface OperationStatus {
  name: string;
  launcher: LauncherKind;
  action: string;
  plugin: string;
  availability: 'alive' | 'away' | 'broken';
  reason: string | null;
}

/** A plugin's feature as it may be advertised. */
export interface FeatureStatus {
  name: string;
  plugin: string;
  pluginVersion: string;
  availability: 'alive' | 'away' | 'broken';
  reason: string | null;
  health: PluginHealth;
  capabilities: string[];
  settings: JsonObject;
}

/** What a filter finds. */
export interface PlanSelection {
  total: number;
  /** By state and result. */
  counts: PlanCount[];
  /** The newest few. */
  sample: PlanSummary[];
}

export interface BulkProgress {
  done: number;
  refused: number;
  total: number;
}

export interface BulkOptions {
  /** Only tells what would be done. */
  preview?: boolean;
  /** Told after each slice. */
  onProgress?: (progress: BulkProgress) => void;
}

/** What a bulk operation found, of the plans that it can do something with, and what it did. */
export interface BulkResult extends PlanSelection {
  isPreview: boolean;
  /** How many plans were changed; those that had come to rest meanwhile are not among them. */
  done: number;
  refused: number;
  /** The first few of those that were refused. */
  refusals: { plan: string; code: string; message: string }[];
}

/** What a plugin that is loaded into the gateway may ask of it. */
export interface GatewayApi {
  /** Version of the running gateway. */
  readonly version: string;
  /**
   * Makes the plan and starts it; resolved when that is committed. An id that exists: nothing is done and `created` is false. With
   * `error` the plan exists too, but its planning failed and it is stopped.
   */
  trigger(request: TriggerRequest): Promise<{ plan: string; created: boolean; error?: StepErrorV1 }>;
  /** Seals the secret keys of an input for an action: gives back the input without them and the sealed rest. */
  seal(action: string, input: JsonObject, plan: string): Promise<{ input: JsonObject; sealedSecrets: string | undefined }>;
  /**
   * Tells all running and suspended cancellable steps, of sub-plans too; ends a plan that is not planned yet, or is paused.
   *
   * @throws NotFoundError for an unknown plan.
   */
  cancel(plan: string, options?: { force?: boolean }): Promise<{ canceledSteps: number }>;
  /**
   * Ends a plan by force: its steps stay as they are, nothing follows from them, its result is `halted`. `family`: with its sub-plans.
   *
   * @returns false if it had stopped already. @throws NotFoundError for an unknown plan.
   */
  halt(plan: string, options?: { family?: boolean }): Promise<boolean>;
  /**
   * Keeps a scheduled plan from beginning, or lets it, with a new time to begin at if one is given (null: none).
   *
   * @throws NotFoundError; an error with the code `DYN_PLAN_NOT_SCHEDULED` if it is not scheduled.
   */
  setFrozen(plan: string, isFrozen: boolean, newStartAtMs?: number | null): Promise<void>;
  /** Sends an event to a step. @throws NotFoundError for an unknown plan or step. */
  sendEvent(plan: string, step: number, data: JsonValue): Promise<void>;
  /** The plans with these ids, as committed; unknown ids are absent. */
  plans(ids: string[]): Promise<PlanView[]>;
  /** State and result of these plans; unknown ids are absent. */
  states(ids: string[]): Promise<Map<string, { state: PlanState; result: PlanResult }>>;
  /** How many plans are in this state; of all states without one; 0 for a word that is no state. */
  count(state?: string): Promise<number>;
  /** A page of plans. @throws InvalidInputError naming what does not fit; the same for all that take a filter. */
  find(query: PlanQuery): Promise<PlanSummary[]>;
  /** What a filter finds, before anything is done with it. */
  select(filter: PlanFilter): Promise<PlanSelection>;
  /** Cancels all that fit and have not stopped, in slices; with `preview` it only tells which. */
  cancelWhere(filter: PlanFilter, options?: BulkOptions & { force?: boolean }): Promise<BulkResult>;
  /** The same: lets all paused ones that fit go on. */
  resumeWhere(filter: PlanFilter, options?: BulkOptions): Promise<BulkResult>;
  /** The same: deletes all that fit, have stopped and are not needed by one that has not (its sub-plans, its prerequisites). */
  deleteWhere(filter: PlanFilter, options?: BulkOptions): Promise<BulkResult>;
  operations(): OperationStatus[];
  features(): FeatureStatus[];
  /** The full name behind a name or an alias of older times, or undefined. */
  resolveAction(name: string): string | undefined;
  /** @throws InvalidInputError naming the field (below `field`) that does not fit the action's schema, NotFoundError for no such action. */
  checkInput(action: string, input: JsonObject, field: string): void;
}

/** A request as a gateway route sees it. */
export interface GatewayRequest {
  method: string;
  path: string;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string>;
  /** The raw body. */
  body: string;
  /** CN of the verified client certificate, or null. */
  clientName: string | null;
  /** True when the caller passed the check for trusted callers. */
  isTrusted: boolean;
  /** `http` or `https`, and the name the caller used. */
  protocol: 'http' | 'https';
  host: string;
}

/** The answer of a gateway route. A JSON value is sent as JSON; a string as it is. */
export interface GatewayAnswer {
  status: number;
  json?: unknown;
  text?: string;
  headers?: Record<string, string>;
}

/** A route that a plugin answers inside the gateway. */
export interface GatewayRoute extends Omit<RouteDeclaration, 'access'> {
  access: RouteDeclaration['access'];
  handle(request: GatewayRequest): Promise<GatewayAnswer>;
}
