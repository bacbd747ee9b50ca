import { messageOf } from '@dynflow/kernel';
import {
  pluginOf,
  type GrantV1,
  type HttpAnswerV1,
  type HttpRequestV1,
  type PlanAnswerV1,
  type PlanRequestV1,
  type PluginDeclaration,
  type PluginHealth,
} from '@dynflow/contracts';
import {
  answerRoute,
  declarationOf,
  errorAnswer,
  failureOf,
  middlewareOf,
  performDelay,
  performPhase,
  performPlanPhase,
  type ActionDefinition,
  type ActionWithMiddleware,
  type DocumentStore,
  type InvocationOutcome,
  type Middleware,
  type Plugin,
  type PluginLog,
} from '@dynflow/plugin';
import type { StepRun } from './run/step-run.js';

/** A plugin with what it was started with. The only part that calls the plugin's code. */
export class PluginHost {
  readonly declaration: PluginDeclaration;
  readonly #actions = new Map<string, ActionDefinition>();
  readonly #middleware = new Map<string, readonly Middleware[]>();
  #health: PluginHealth = { state: 'broken', reason: 'it has not been started' };
  #services: unknown;

  constructor(
    readonly plugin: Plugin,
    private readonly settings: unknown,
    private readonly store: DocumentStore,
    private readonly log: PluginLog,
  ) {
    this.declaration = declarationOf(plugin, settings);
    for (const action of plugin.actions ?? []) {
      this.#actions.set(keyOf(action), action);
      this.#middleware.set(keyOf(action), middlewareOf(plugin, action));
    }
  }

  get health(): PluginHealth {
    return this.#health;
  }

  /** The queues that its actions' steps come on. */
  get queues(): Set<string> {
    return new Set([...this.#actions.values()].map((action) => action.queue ?? 'default'));
  }

  get hasSecrets(): boolean {
    return [...this.#actions.values()].some((action) => (action.secrets ?? []).length > 0);
  }

  mayWrite(action: string, version: number): boolean {
    return this.#find(action, version)?.chunksAs !== undefined;
  }

  /** True if that holds for every version of it. */
  mayRunTwice(action: string): boolean {
    const versions = this.declaration.actions.filter(({ name }) => name === action);
    return versions.length > 0 && versions.every(({ resumable, idempotent }) => resumable || idempotent);
  }

  /** Checks and starts the plugin. Never throws: what goes wrong is its health. */
  async start(): Promise<PluginHealth> {
    try {
      this.#health = (await this.plugin.check?.(this.settings)) ?? { state: 'running' };
      if (this.#health.state === 'running') {
        this.#services = await this.plugin.start?.({ settings: this.settings, store: this.store, log: this.log });
      }
    } catch (error) {
      this.#health = { state: 'broken', reason: messageOf(error) };
    }
    return this.#health;
  }

  async stop(): Promise<void> {
    if (this.#health.state === 'running') {
      this.#health = { state: 'broken', reason: 'it was stopped' };
      await this.plugin.stop?.(this.#services);
    }
  }

  /** Runs a granted step. Never throws. */
  async run(grant: GrantV1, run: StepRun): Promise<InvocationOutcome> {
    const action = this.#find(grant.action, grant.actionVersion);
    if (action === undefined) {
      return unable(`${this.plugin.name} ${this.plugin.version} has no version ${grant.actionVersion} of ${grant.action}`);
    }
    run.services = this.#services;
    return performPhase(this.#around(action), grant.phase, grant.input, run);
  }

  /** Plans an action whose plan phase is a function. Never throws. */
  async plan(request: PlanRequestV1): Promise<PlanAnswerV1> {
    const answer = { type: 'plan.answer', version: 1 } as const;
    const action = this.#find(request.action, request.actionVersion);
    if (action === undefined) {
      const message = `${this.plugin.name} ${this.plugin.version} has no version ${request.actionVersion} of ${request.action} to plan`;
      return { ...answer, error: { errorClass: 'VersionMismatchError', message, kind: 'retryable' } };
    }
    try {
      if (request.delay !== undefined) {
        return { ...answer, input: await performDelay(this.#around(action), request.input, request.delay) };
      }
      return { ...answer, ...(await performPlanPhase(this.#around(action), request.input)) };
    } catch (error) {
      const outcome = failureOf(error);
      return outcome.kind === 'failed' ? { ...answer, error: outcome.error } : answer;
    }
  }

  /** Answers a request for one of the plugin's routes. Never throws. */
  async http(request: HttpRequestV1): Promise<HttpAnswerV1> {
    if (this.#health.state === 'broken') {
      return errorAnswer(503, { error: `${this.plugin.name} cannot work: ${this.#health.reason}` });
    }
    return answerRoute(this.plugin, request, this.#services, this.log);
  }

  #around(action: ActionDefinition): ActionWithMiddleware {
    return { name: `${this.plugin.name}.${action.name}`, action, middleware: this.#middleware.get(keyOf(action)) ?? [] };
  }

  /** A plugin may have several versions of an action, so that plans go on under the one that they were made under. */
  #find(fullName: string, version: number): ActionDefinition | undefined {
    return pluginOf(fullName) === this.plugin.name
      ? this.#actions.get(`${fullName.slice(this.plugin.name.length + 1)} ${version}`)
      : undefined;
  }
}

function keyOf(action: ActionDefinition): string {
  return `${action.name} ${action.version ?? 1}`;
}

function unable(message: string): InvocationOutcome {
  return { kind: 'failed', error: { errorClass: 'VersionMismatchError', message, kind: 'retryable' } };
}
