import {
  ActionDeclaration,
  type LocalInvocation,
  type LocalResult,
  type OutcomeV1,
  type PlanNode,
  type Schedule,
  type StepErrorV1,
} from '@dynflow/contracts';
import type { JsonObject } from '@dynflow/kernel';
import type { ActionCatalogue, ExecutorProcess, LocalRunner, PlanAnswer, SealedGrant } from '@dynflow/engine';

/** What may be said of an action in a test; everything has a default. */
export type ActionOptions = Partial<(typeof ActionDeclaration)['_zod']['input']>;

/** How the in-thread executor performs a step: the outcomes to report, in order. The last one ends the invocation. */
export type Behaviour = (grant: SealedGrant) => OutcomeV1 | OutcomeV1[];

/** What an executor answers when it is asked for a plan. */
export type PlanMethod = (input: JsonObject) => PlanMethodAnswer | Promise<PlanMethodAnswer>;

type PlanMethodAnswer = PlanNode[] | PlanAnswer | { error: StepErrorV1 };

/** What an executor answers before a plan is scheduled: the input to plan it with later, or why not. */
export type DelayMethod = (input: JsonObject, schedule: Schedule) => DelayAnswer | Promise<DelayAnswer>;

type DelayAnswer = { input: JsonObject } | { error: StepErrorV1 };

/** A local action's code. */
export type LocalCode = (invocation: LocalInvocation) => LocalResult;

/** The actions of a test, each declared in one line. */
export class ScriptedCatalogue implements ActionCatalogue, LocalRunner {
  readonly #declarations = new Map<string, ActionDeclaration[]>();
  readonly #behaviours = new Map<string, Behaviour>();
  readonly #local = new Map<string, LocalCode>();
  readonly #delayMethods = new Map<string, DelayMethod>();
  readonly #planMethods = new Map<string, PlanMethod>();
  /** Versions that executors serve, by action; of others nothing is known. */
  readonly served = new Map<string, ReadonlySet<number>>();
  /** Which executor serves what; absent: nothing is known. */
  isServedBy: ActionCatalogue['serves'];

  /** An action that executors run; it has a run phase and no finalize unless the options say otherwise, and does nothing unless told. */
  executor(name: string, options: ActionOptions = {}, behaviour: Behaviour = () => ({ kind: 'done', output: {} })): ActionDeclaration {
    this.#behaviours.set(name, behaviour);
    return this.#declare(name, options);
  }

  /** An action that runs inside the gateway. */
  local(name: string, code: LocalCode, options: ActionOptions = {}): ActionDeclaration {
    this.#local.set(name, code);
    return this.#declare(name, options);
  }

  /** An action without run phase that plans this. */
  composite(name: string, nodes: PlanNode[], options: ActionOptions = {}): ActionDeclaration {
    return this.executor(name, { run: false, plan: { kind: 'data', nodes }, ...options });
  }

  /** An action whose plan method is asked of an executor. */
  asked(name: string, method: PlanMethod, options: ActionOptions = {}): ActionDeclaration {
    this.#planMethods.set(name, method);
    return this.executor(name, { run: false, plan: { kind: 'asked' }, ...options });
  }

  /** Takes an action away, as when its plugin is not loaded any more. */
  remove(name: string): void {
    this.#declarations.delete(name);
    this.#local.delete(name);
  }

  declarationOf(action: string, version?: number): ActionDeclaration | undefined {
    const versions = this.#declarations.get(action);
    return version === undefined ? versions?.at(-1) : versions?.find((declaration) => declaration.version === version);
  }

  /** What an executor answers before a plan of this action is scheduled (`delay: 'asked'`); the default leaves the input as it is. */
  onDelay(action: string, method: DelayMethod): void {
    this.#delayMethods.set(action, method);
  }

  delay(action: string, input: JsonObject, schedule: Schedule): ReturnType<DelayMethod> {
    return this.#delayMethods.get(action)?.(input, schedule) ?? { input };
  }

  servedVersions(action: string): ReadonlySet<number> | undefined {
    return this.served.get(action);
  }

  serves(executor: ExecutorProcess, action: string, version: number): boolean | undefined {
    return this.isServedBy?.(executor, action, version);
  }

  allDeclarations(): Iterable<ActionDeclaration> {
    return [...this.#declarations.values()].flat();
  }

  isLocal(action: string): boolean {
    return this.#local.has(action);
  }

  subscribersOf(action: string): readonly string[] {
    return [...this.#declarations.values()].flatMap((versions) => {
      const newest = versions.at(-1);
      return newest?.subscribesTo.includes(action) === true ? [newest.name] : [];
    });
  }

  run(action: string, invocation: LocalInvocation): LocalResult {
    const code = this.#local.get(action);
    if (code === undefined) {
      throw new Error(`no local action ${action}`);
    }
    return code(invocation);
  }

  behaviourOf(action: string): Behaviour {
    return this.#behaviours.get(action) ?? (() => ({ kind: 'done', output: {} }));
  }

  async plan(action: string, input: JsonObject): Promise<PlanAnswer | { error: StepErrorV1 }> {
    const planned = (await this.#planMethods.get(action)?.(input)) ?? [];
    return Array.isArray(planned) ? { nodes: planned } : planned;
  }

  #declare(name: string, options: ActionOptions): ActionDeclaration {
    const declaration = ActionDeclaration.parse({ version: 1, inputSchema: {}, run: true, ...options, name });
    const others = (this.#declarations.get(name) ?? []).filter(({ version }) => version !== declaration.version);
    this.#declarations.set(name, [...others, declaration]);
    return declaration;
  }
}

/** A local action's result in one line: it is done. */
export function done(output: JsonObject = {}, commands: LocalResult['commands'] = []): LocalResult {
  return { outcome: { kind: 'done', output }, commands };
}

/** A local action's result in one line: it failed. */
export function failed(message: string, commands: LocalResult['commands'] = []): LocalResult {
  return { outcome: { kind: 'failed', error: { errorClass: 'TestError', message, kind: 'final' } }, commands };
}

/** A local action's result in one line: it waits for an event, or for `wakeAfterMs`. */
export function suspended(
  options: { checkpoint?: JsonObject; output?: JsonObject; wakeAfterMs?: number; commands?: LocalResult['commands'] } = {},
): LocalResult {
  const { checkpoint = {}, commands = [], ...rest } = options;
  return { outcome: { kind: 'suspended', checkpoint, waitingFor: 'an event', ...rest }, commands };
}
