import type { ActionDeclaration } from '@dynflow/contracts';
import type { ExecutorProcess } from '@dynflow/engine';

interface Process {
  readonly startId: string;
  readonly actions: ReadonlySet<string>;
}

/**
 * All versions of all actions that are known, and which of them are served by whom.
 *
 * New plans are made under the newest version that somebody serves; while nobody serves any, under the newest that is known. Plans that
 * exist go on under theirs, so no version is ever forgotten.
 */
export class ActionVersions {
  readonly #actions = new Map<string, Map<number, ActionDeclaration>>();
  /** By plugin, then by executor. */
  readonly #executors = new Map<string, Map<string, Process>>();
  /** Served versions by action; emptied when executors come, change or go. */
  #served = new Map<string, ReadonlySet<number>>();

  /** Takes over declarations, in place of earlier ones of the same versions. */
  add(declarations: readonly ActionDeclaration[]): void {
    for (const declaration of declarations) {
      const versions = this.#actions.get(declaration.name) ?? new Map<number, ActionDeclaration>();
      this.#actions.set(declaration.name, versions.set(declaration.version, declaration));
    }
  }

  /** A process of an executor said what it has. */
  serve(plugin: string, executor: string, startId: string, declarations: readonly ActionDeclaration[]): void {
    const executors = this.#executors.get(plugin) ?? new Map<string, Process>();
    this.#executors.set(plugin, executors);
    executors.set(executor, { startId, actions: new Set(declarations.map(({ name, version }) => keyOf(name, version))) });
    this.#served = new Map();
  }

  /** The executor is gone. */
  forget(plugin: string, executor: string): void {
    this.#executors.get(plugin)?.delete(executor);
    this.#served = new Map();
  }

  get(action: string, version: number): ActionDeclaration | undefined {
    return this.#actions.get(action)?.get(version);
  }

  newest(action: string): ActionDeclaration | undefined {
    const versions = this.#actions.get(action);
    if (versions === undefined || versions.size === 0) {
      return undefined;
    }
    const served = this.served(action);
    return versions.get(Math.max(...(served === undefined || served.size === 0 ? versions.keys() : served)));
  }

  /** The versions that executors of the plugin serve; undefined: none of its executors is known. */
  served(action: string): ReadonlySet<number> | undefined {
    // Asked for every step that becomes ready and for every plan: the answer is looked up and nothing else.
    const known = this.#served.get(action);
    if (known !== undefined) {
      return known;
    }
    const executors = this.#executors.get(action.slice(0, action.indexOf('.')));
    if (executors === undefined || executors.size === 0) {
      return undefined;
    }
    const versions = [...(this.#actions.get(action)?.keys() ?? [])];
    const served = new Set(
      versions.filter((version) => [...executors.values()].some(({ actions }) => actions.has(keyOf(action, version)))),
    );
    this.#served.set(action, served);
    return served;
  }

  /** Whether this process serves the version; undefined: the process is not known. */
  serves({ plugin, executor, startId }: ExecutorProcess, action: string, version: number): boolean | undefined {
    const process = this.#executors.get(plugin)?.get(executor);
    return process?.startId === startId ? process.actions.has(keyOf(action, version)) : undefined;
  }

  *newestOfEach(): Generator<ActionDeclaration> {
    for (const name of this.#actions.keys()) {
      const newest = this.newest(name);
      if (newest !== undefined) {
        yield newest;
      }
    }
  }

  *all(): Generator<ActionDeclaration> {
    for (const versions of this.#actions.values()) {
      yield* versions.values();
    }
  }
}

function keyOf(action: string, version: number): string {
  return `${action} ${version}`;
}
