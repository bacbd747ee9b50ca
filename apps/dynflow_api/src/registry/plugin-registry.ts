import { CONTRACTS, PluginDeclaration, type ActionDeclaration, type HeartbeatV1, type ManifestV1 } from '@dynflow/contracts';
import type { ActionCatalogue, ExecutorProcess } from '@dynflow/engine';
import type { Clock } from '@dynflow/kernel';
import type { FeatureStatus, OperationStatus } from '@dynflow/plugin';
import { ActionVersions } from './action-versions.js';

/** An executor as it last spoke. */
interface KnownExecutor {
  manifest: ManifestV1;
  lastSeenMs: number;
  isDraining: boolean;
}

interface KnownPlugin {
  declaration: PluginDeclaration;
  readonly isLocal: boolean;
  readonly executors: Map<string, KnownExecutor>;
  /** When an executor of it was last able to work; for stored declarations, when this process learned of them. */
  lastAliveMs: number;
}

/** Times after which silence means something. */
export interface RegistryTuning {
  /** Silent for so long, an executor gets no new work and its plugin may be away. */
  suspectAfterMs: number;
  /** A plugin away for so long is no longer advertised. */
  awayGraceMs: number;
}

export const DEFAULT_REGISTRY_TUNING: RegistryTuning = { suspectAfterMs: 30_000, awayGraceMs: 15 * 60_000 };

const NOBODY: readonly string[] = [];

/** Who is planned with whom, each once, in the order of their names, whichever plugin came first. */
function subscribersByTrigger(actions: Iterable<ActionDeclaration>): Map<string, string[]> {
  const subscribers = new Map<string, string[]>();
  for (const { name, subscribesTo } of actions) {
    for (const trigger of new Set(subscribesTo)) {
      subscribers.set(trigger, [...(subscribers.get(trigger) ?? []), name].toSorted());
    }
  }
  return subscribers;
}

/**
 * What can be run here, and by whom. Everything that the service advertises comes from this and nothing else: manifests that executors
 * announced, declarations of plugins that are loaded into the gateway, and declarations kept from before a restart.
 */
export class PluginRegistry implements ActionCatalogue {
  readonly #clock: Clock;
  readonly #tuning: RegistryTuning;
  readonly #plugins = new Map<string, KnownPlugin>();
  readonly #versions = new ActionVersions();
  /** By trigger; made anew when a declaration comes. */
  #subscribers: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(clock: Clock, tuning: RegistryTuning = DEFAULT_REGISTRY_TUNING) {
    this.#clock = clock;
    this.#tuning = tuning;
  }

  /** A plugin that is loaded into the gateway: alive as long as the gateway. */
  addLocal(declaration: PluginDeclaration): void {
    this.#put(declaration, true);
  }

  /**
   * A declaration kept from an earlier start: its plugin is away until an executor speaks. Of several of one plugin the first is its
   * declaration, the others say what plans of their time were made under. One that this release cannot read is left out.
   */
  addStored(declaration: PluginDeclaration): void {
    const parsed = PluginDeclaration.safeParse(declaration);
    if (!parsed.success) {
      return;
    }
    if (this.#plugins.has(declaration.plugin)) {
      this.#versions.add(parsed.data.actions);
    } else {
      this.#put(parsed.data, false);
    }
  }

  /** @returns why the manifest is refused, or undefined if it is taken. */
  announce(manifest: ManifestV1, plugin: string): string | undefined {
    const { declaration } = manifest;
    if (declaration.plugin !== plugin) {
      return `the manifest is of "${declaration.plugin}" but came on a subject of "${plugin}"`;
    }
    if (manifest.contracts.min > CONTRACTS.max || manifest.contracts.max < CONTRACTS.min) {
      const theirs = `${manifest.contracts.min} to ${manifest.contracts.max}`;
      return `this gateway speaks versions ${CONTRACTS.min} to ${CONTRACTS.max} of the messages, the executor ${theirs}: upgrade the older one`;
    }
    const known = this.#plugins.get(plugin);
    if (known?.isLocal === true) {
      return `the plugin "${plugin}" is loaded into the gateway itself`;
    }
    const foreign = declaration.actions.find((action) => !action.name.startsWith(`${plugin}.`));
    if (foreign !== undefined) {
      return `the action "${foreign.name}" does not begin with "${plugin}."`;
    }
    const entry = this.#put(declaration, false);
    this.#versions.serve(plugin, manifest.executor, manifest.startId, manifest.health.state === 'running' ? declaration.actions : []);
    entry.executors.set(manifest.executor, { manifest, lastSeenMs: this.#clock.now(), isDraining: false });
    if (manifest.health.state === 'running') {
      entry.lastAliveMs = this.#clock.now();
    }
    return undefined;
  }

  /** @returns false if the executor is not known (any more) and has to announce itself. */
  heard(heartbeat: HeartbeatV1, plugin: string): boolean {
    const executor = this.#plugins.get(plugin)?.executors.get(heartbeat.executor);
    if (executor === undefined || executor.manifest.startId !== heartbeat.startId) {
      return false;
    }
    executor.lastSeenMs = this.#clock.now();
    executor.isDraining = heartbeat.draining;
    const plugins = this.#plugins.get(plugin);
    if (plugins !== undefined && executor.manifest.health.state === 'running') {
      plugins.lastAliveMs = executor.lastSeenMs;
    }
    return true;
  }

  /** Forgets executors that have been silent for so long. @returns their plugins. */
  forgetSilent(silentMs: number): Set<string> {
    const plugins = new Set<string>();
    for (const known of this.#plugins.values()) {
      for (const [id, executor] of known.executors) {
        if (this.#clock.now() - executor.lastSeenMs > silentMs) {
          known.executors.delete(id);
          this.#versions.forget(known.declaration.plugin, id);
          plugins.add(known.declaration.plugin);
        }
      }
    }
    return plugins;
  }

  /** When this process of an executor was heard last; undefined if it is not known. */
  lastHeardMs(plugin: string, executor: string, startId: string): number | undefined {
    const known = this.#plugins.get(plugin)?.executors.get(executor);
    return known?.manifest.startId === startId ? known.lastSeenMs : undefined;
  }

  /** Slots of all executors of the plugin that take work now. */
  slotsOf(plugin: string): number {
    let slots = 0;
    for (const executor of this.#plugins.get(plugin)?.executors.values() ?? []) {
      if (this.#takesWork(executor)) {
        slots += executor.manifest.slots;
      }
    }
    return slots;
  }

  declarationOf(action: string, version?: number): ActionDeclaration | undefined {
    return version === undefined ? this.#versions.newest(action) : this.#versions.get(action, version);
  }

  servedVersions(action: string): ReadonlySet<number> | undefined {
    return this.isLocal(action) ? undefined : this.#versions.served(action);
  }

  serves(executor: ExecutorProcess, action: string, version: number): boolean | undefined {
    return this.#versions.serves(executor, action, version);
  }

  allDeclarations(): Iterable<ActionDeclaration> {
    return this.#versions.all();
  }

  subscribersOf(action: string): readonly string[] {
    return this.#subscribers.get(action) ?? NOBODY;
  }

  isLocal(action: string): boolean {
    return this.#plugins.get(action.slice(0, action.indexOf('.')))?.isLocal ?? false;
  }

  /** The full name behind a name of any time. */
  resolveAction(name: string): string | undefined {
    if (this.#versions.newest(name) !== undefined) {
      return name;
    }
    for (const { declaration } of this.#plugins.values()) {
      const { [name]: action } = declaration.aliases;
      if (action !== undefined && this.#versions.newest(action) !== undefined) {
        return action;
      }
    }
    return undefined;
  }

  declarations(): PluginDeclaration[] {
    return [...this.#plugins.values()].map((known) => known.declaration);
  }

  operations(): OperationStatus[] {
    return [...this.#plugins.values()].flatMap((known) =>
      known.declaration.operations.map((operation) => ({
        ...operation,
        plugin: known.declaration.plugin,
        ...this.#availabilityOf(known),
      })),
    );
  }

  features(): FeatureStatus[] {
    return [...this.#plugins.values()].flatMap((known) =>
      known.declaration.features.map((feature) => {
        const { availability, reason } = this.#availabilityOf(known);
        return {
          ...feature,
          plugin: known.declaration.plugin,
          pluginVersion: known.declaration.pluginVersion,
          availability,
          reason,
          health: availability === 'broken' ? { state: 'broken', reason: reason ?? 'unknown' } : { state: 'running' },
        };
      }),
    );
  }

  #availabilityOf(known: KnownPlugin): { availability: OperationStatus['availability']; reason: string | null } {
    if (known.isLocal) {
      return { availability: 'alive', reason: null };
    }
    const executors = [...known.executors.values()];
    if (executors.some((executor) => this.#takesWork(executor))) {
      return { availability: 'alive', reason: null };
    }
    const { plugin } = known.declaration;
    const broken = executors.find((executor) => this.#isHeard(executor) && executor.manifest.health.state === 'broken');
    if (broken?.manifest.health.state === 'broken') {
      return { availability: 'broken', reason: broken.manifest.health.reason };
    }
    const awayMs = this.#clock.now() - known.lastAliveMs;
    return awayMs > this.#tuning.awayGraceMs
      ? { availability: 'broken', reason: `no executor of ${plugin} has been heard for ${Math.round(awayMs / 60_000)} minutes` }
      : { availability: 'away', reason: `no executor of ${plugin} is there at the moment; launches wait for one` };
  }

  #takesWork(executor: KnownExecutor): boolean {
    return this.#isHeard(executor) && !executor.isDraining && executor.manifest.health.state === 'running';
  }

  #isHeard(executor: KnownExecutor): boolean {
    return this.#clock.now() - executor.lastSeenMs <= this.#tuning.suspectAfterMs;
  }

  #put(declaration: PluginDeclaration, isLocal: boolean): KnownPlugin {
    const known = this.#plugins.get(declaration.plugin);
    this.#versions.add(declaration.actions);
    this.#subscribers = subscribersByTrigger(this.#versions.newestOfEach());
    if (known !== undefined) {
      known.declaration = declaration;
      return known;
    }
    const entry: KnownPlugin = { declaration, isLocal, executors: new Map(), lastAliveMs: this.#clock.now() };
    this.#plugins.set(declaration.plugin, entry);
    return entry;
  }
}
