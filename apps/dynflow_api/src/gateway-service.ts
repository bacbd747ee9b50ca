import { InvalidInputError, NotFoundError, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { Engine } from '@dynflow/engine';
import { UnknownActionError } from '@dynflow/engine';
import { jsonFaultOf } from '@dynflow/plugin';
import type { Database } from '@dynflow/persistence';
import type {
  BulkOptions,
  BulkResult,
  FeatureStatus,
  GatewayApi,
  OperationStatus,
  PlanFilter,
  PlanQuery,
  PlanResult,
  PlanSelection,
  PlanState,
  PlanSummary,
  PlanView,
  TriggerRequest,
} from '@dynflow/plugin';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { BulkOperations } from './bulk-operations.js';
import type { PlanPresenter } from './local/plan-presenter.js';
import type { PluginRegistry } from './registry/plugin-registry.js';
import type { SecretBox } from './secrets/secret-box.js';

/** What the gateway offers to its plugins and to its own API: the engine, the registry and the views in one place. */
export class GatewayService implements GatewayApi {
  readonly version: string;
  readonly #engine: Engine;
  readonly #registry: PluginRegistry;
  readonly #views: Database['reader'];
  readonly #bulk: BulkOperations;
  readonly #presenter: PlanPresenter;
  readonly #secrets: SecretBox;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });
  readonly #validators = new WeakMap<JsonObject, ValidateFunction>();

  constructor(options: {
    version: string;
    engine: Engine;
    registry: PluginRegistry;
    database: Pick<Database, 'reader' | 'deletePlans'>;
    presenter: PlanPresenter;
    secrets: SecretBox;
  }) {
    this.version = options.version;
    this.#engine = options.engine;
    this.#registry = options.registry;
    this.#views = options.database.reader;
    this.#bulk = new BulkOperations(options.engine, options.database);
    this.#presenter = options.presenter;
    this.#secrets = options.secrets;
  }

  async trigger(request: TriggerRequest): ReturnType<GatewayApi['trigger']> {
    const fault = jsonFaultOf(request.input, 'input');
    if (fault !== null) {
      throw new InvalidInputError('input', `what ${request.action} is to be planned with cannot be kept as JSON: ${fault}`);
    }
    return this.#engine.trigger(request);
  }

  seal(action: string, input: JsonObject, plan: string): ReturnType<GatewayApi['seal']> {
    return this.#secrets.sealInput(input, this.#declarationOf(action).secrets, plan);
  }

  async cancel(plan: string, options: { force?: boolean } = {}): Promise<{ canceledSteps: number }> {
    const told = await this.#engine.cancel(plan, options);
    if (told === null && !(await this.#views.states([plan])).has(plan)) {
      throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no task ${plan}`);
    }
    return { canceledSteps: told ?? 0 };
  }

  /** Lets a paused plan go on: its failed steps run again. @throws NotFoundError for an unknown plan, PlanNotPausedError. */
  resume(plan: string): Promise<void> {
    return this.#engine.resume(plan);
  }

  halt(plan: string, options: { family?: boolean } = {}): Promise<boolean> {
    return this.#engine.halt(plan, options);
  }

  setFrozen(plan: string, isFrozen: boolean, newStartAtMs?: number | null): Promise<void> {
    return this.#engine.setFrozen(plan, isFrozen, newStartAtMs);
  }

  async sendEvent(plan: string, step: number, data: JsonValue): Promise<void> {
    const isTaken = await this.#engine.sendEvent(plan, step, data);
    if (isTaken) {
      return;
    }
    const [view] = await this.#views.plans([plan]);
    if (view === undefined || !view.stepIds.includes(step)) {
      throw new NotFoundError('DYN_STEP_NOT_FOUND', `the task ${plan} has no step ${step}`);
    }
  }

  /** Holds plans with their sub-plans, or, without plans, all new work. @returns how many plans are held by this. */
  hold(options: { reason: string; plans?: readonly string[] }): Promise<number> {
    return this.#engine.hold(options);
  }

  /** Lets held plans go on; without plans all of them, those in quarantine too, and new work. @returns how many were held. */
  release(options: { plans?: readonly string[] } = {}): Promise<number> {
    return this.#engine.release(options);
  }

  async plans(ids: string[]): Promise<PlanView[]> {
    return this.#presenter.present(await this.#views.plans(ids));
  }

  states(ids: string[]): Promise<Map<string, { state: PlanState; result: PlanResult }>> {
    return this.#views.states(ids);
  }

  count(state?: string): Promise<number> {
    return this.#views.count(state);
  }

  find(query: PlanQuery): Promise<PlanSummary[]> {
    return this.#views.list(query);
  }

  select(filter: PlanFilter): Promise<PlanSelection> {
    return this.#bulk.select(filter);
  }

  cancelWhere(filter: PlanFilter, options?: BulkOptions & { force?: boolean }): Promise<BulkResult> {
    return this.#bulk.cancelWhere(filter, options);
  }

  resumeWhere(filter: PlanFilter, options?: BulkOptions): Promise<BulkResult> {
    return this.#bulk.resumeWhere(filter, options);
  }

  deleteWhere(filter: PlanFilter, options?: BulkOptions): Promise<BulkResult> {
    return this.#bulk.deleteWhere(filter, options);
  }

  operations(): OperationStatus[] {
    return this.#registry.operations();
  }

  features(): FeatureStatus[] {
    return this.#registry.features();
  }

  resolveAction(name: string): string | undefined {
    return this.#registry.resolveAction(name);
  }

  checkInput(action: string, input: JsonObject, field: string): void {
    const { inputSchema } = this.#declarationOf(action);
    const validate = this.#validators.get(inputSchema) ?? this.#ajv.compile(inputSchema);
    this.#validators.set(inputSchema, validate);
    if (!validate(input)) {
      const [error] = validate.errors ?? [];
      throw inputError(error, field);
    }
  }

  #declarationOf(action: string): { secrets: string[]; inputSchema: JsonObject } {
    const declaration = this.#registry.declarationOf(action);
    if (declaration === undefined) {
      throw new UnknownActionError(action);
    }
    return declaration;
  }
}

/** One fault of a JSON Schema check as our errors say it: the field's whole path and what was expected there, never the value. */
function inputError(error: ErrorObject | undefined, at: string): InvalidInputError {
  const path = (error?.instancePath ?? '').split('/').slice(1).map(unescapePointer);
  if (error?.keyword === 'required') {
    const missing = [at, ...path, String(error.params['missingProperty'])].join('.');
    return new InvalidInputError(missing, `${missing}: this field is required and missing`);
  }
  const field = [at, ...path].join('.');
  const allowed = error?.keyword === 'enum' ? ` (${(error.params['allowedValues'] as unknown[]).map(String).join(', ')})` : '';
  return new InvalidInputError(field, `${field}: ${error?.message ?? 'does not fit'}${allowed}`);
}

function unescapePointer(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}
