import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { SubPlanCounts } from '@dynflow/contracts';
import type { ActionDefinition, DocumentStore, RunContext } from '../action.js';
import { middlewareOf } from '../middleware.js';
import type { Plugin } from '../plugin.js';
import { CancelSwitch } from '../runners/cancel-switch.js';
import type { InvocationOutcome } from '../runners/invocation.js';
import { assertJson, performPhase } from '../runners/phases.js';
import { findAction } from './find-action.js';
import { MemoryDocumentStore } from './memory-document-store.js';
import { silentLog } from './silent-log.js';
import { startPlugin, type PluginStartOptions } from './start-plugin.js';

/** What an action is run with. */
export interface ActionRunOptions extends PluginStartOptions {
  /** As it comes from the gateway, secrets included; it is parsed with the action's schema. */
  input: JsonObject;
  /** Default `run`. */
  phase?: 'run' | 'finalize';
  /** What an earlier invocation left. */
  checkpoint?: JsonValue;
  /** The output so far; default: the action's `initialOutput`. */
  output?: JsonObject;
  attempt?: number;
  /** Events that are there from the beginning: what woke a parked step. */
  events?: JsonValue[];
  /** How the sub-plans that an earlier invocation asked for stand. */
  subPlans?: SubPlanCounts;
  /** It is invoked because it is to be cancelled (`cancelParked: 'invoke'`). */
  cancel?: { force: boolean };
}

/** A piece of output as it was written. */
export interface WrittenChunk {
  kind: string;
  text: string;
  timestampMs: number;
  id?: string | number;
}

/** What a run did. */
export interface ActionRunResult {
  /** `done`, `failed`, `suspended` or `released`: what the gateway would be told. */
  outcome: InvocationOutcome;
  /** The action's output in the end: what was there, updates and outcome merged. */
  output: JsonObject;
  chunks: WrittenChunk[];
  /** All texts of a kind put together, `stdout` by default. */
  text: (kind?: string) => string;
  updates: { output?: JsonObject; checkpoint?: JsonValue }[];
  /** What it said of its progress, in order. */
  progress: number[];
  /** Events that it planned for itself while it ran. */
  plannedEvents: { data: JsonValue; afterMs: number }[];
}

/** A run that goes on. */
export interface StartedAction {
  readonly result: Promise<ActionRunResult>;
  /** Cancels it, as somebody in Foreman would. May be called again. */
  cancel(options?: { force?: boolean }): void;
  /** Tells it that its executor is to stop. */
  drain(): void;
  /** Sends it an event, as `POST /tasks/:id/update` does. */
  sendEvent(data: JsonValue): void;
  /**
   * Resolved when the texts written so far contain this; never by time.
   *
   * @throws Error when the run ends without it.
   */
  waitForText(text: string): Promise<void>;
}

/**
 * Runs an action of a plugin by its short name, in this process, as an executor would: settings parsed, plugin started and stopped,
 * input parsed, errors turned into outcomes.
 *
 * @example
 * ```ts
 * const { outcome, text } = await runAction(plugin, 'Greet', { input: { name: 'Ada' } });
 * ```
 */
export async function runAction(plugin: Plugin, actionName: string, options: ActionRunOptions): Promise<ActionRunResult> {
  return startAction(plugin, actionName, options).result;
}

/** The same, with a handle to cancel it, to send it events, and to wait for its output. */
export function startAction(plugin: Plugin, actionName: string, options: ActionRunOptions): StartedAction {
  const action = findAction(plugin, actionName);
  const context = new KitContext(action, options);
  const result = run(plugin, action, context, options).finally(() => context.end());
  return {
    result,
    cancel: ({ force = false } = {}) => context.switch.cancel(force),
    drain: () => context.drain(),
    sendEvent: (data) => context.sendEvent(data),
    waitForText: async (text) => context.waitForText(text),
  };
}

async function run(plugin: Plugin, action: ActionDefinition, context: KitContext, options: ActionRunOptions): Promise<ActionRunResult> {
  const started = await startPlugin(plugin, { ...options, store: context.store });
  context.services = started.services;
  let outcome: InvocationOutcome;
  try {
    const around = { name: `${plugin.name}.${action.name}`, action, middleware: middlewareOf(plugin, action) };
    outcome = await performPhase(around, options.phase ?? 'run', options.input, context);
  } finally {
    await started.stop();
  }
  const { chunks, updates } = context;
  return {
    outcome,
    output: { ...context.merged, ...('output' in outcome ? outcome.output : {}) },
    chunks,
    text: (kind = 'stdout') => joined(chunks.filter((chunk) => chunk.kind === kind)),
    updates,
    progress: context.said,
    plannedEvents: context.plannedEvents,
  };
}

class KitContext implements RunContext<unknown> {
  readonly plan = '00000000-0000-4000-8000-000000000001';
  readonly step = 2;
  readonly attempt: number;
  readonly output: JsonObject;
  readonly checkpoint: JsonValue | undefined;
  readonly store: DocumentStore;
  readonly log = silentLog;
  readonly switch = new CancelSwitch();
  readonly #drain = new AbortController();
  readonly chunks: WrittenChunk[] = [];
  readonly updates: { output?: JsonObject; checkpoint?: JsonValue }[] = [];
  readonly said: number[] = [];
  readonly plannedEvents: { data: JsonValue; afterMs: number }[] = [];
  readonly subPlans: SubPlanCounts | undefined;
  input: unknown;
  services: unknown;
  merged: JsonObject;
  #onEvent: ((data: JsonValue) => void) | undefined;
  #earlyEvents: JsonValue[] = [];
  #waiting: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
  #hasEnded = false;

  constructor(
    private readonly action: ActionDefinition,
    options: ActionRunOptions,
  ) {
    this.attempt = options.attempt ?? 1;
    this.output = options.output ?? action.initialOutput ?? {};
    this.merged = { ...this.output };
    this.checkpoint = options.checkpoint;
    this.store = options.store ?? new MemoryDocumentStore();
    this.subPlans = options.subPlans;
    this.#earlyEvents = [...(options.events ?? [])];
    if (options.cancel !== undefined) {
      this.switch.cancel(options.cancel.force);
    }
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  drain(): void {
    this.#drain.abort();
  }

  get signal(): AbortSignal {
    return this.switch.signal;
  }

  readonly write = async (kind: string, text: string, options: { id?: string | number; timestampMs?: number } = {}): Promise<void> => {
    if (this.action.chunksAs === undefined) {
      throw new TypeError(`the action ${this.action.name} writes output but declares no chunksAs`);
    }
    const { id, timestampMs = performance.timeOrigin + performance.now() } = options;
    this.chunks.push({ kind, text, timestampMs, ...(id === undefined ? {} : { id }) });
    this.#wake();
    return Promise.resolve();
  };

  readonly update = (change: { output?: JsonObject; checkpoint?: JsonValue }): void => {
    assertJson(`an update of ${this.action.name}`, change, 'update');
    const copy = structuredClone(change);
    this.updates.push(copy);
    this.merged = { ...this.merged, ...copy.output };
  };

  readonly planEvent = (data: JsonValue, afterMs: number): void => {
    assertJson(`an event that ${this.action.name} planned`, data, 'data');
    this.plannedEvents.push(structuredClone({ data, afterMs }));
  };

  readonly progress = (fraction: number): void => void this.said.push(fraction);

  readonly onEvent = (callback: (data: JsonValue) => void): void => {
    this.#onEvent = callback;
    for (const data of this.#earlyEvents.splice(0)) {
      callback(data);
    }
  };

  sendEvent(data: JsonValue): void {
    if (this.#onEvent === undefined) {
      this.#earlyEvents.push(data);
    } else {
      this.#onEvent(data);
    }
  }

  async waitForText(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      this.#wake();
    });
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  #wake(): void {
    const written = joined(this.chunks);
    this.#waiting = this.#waiting.filter(({ text, resolve, reject }) => {
      if (written.includes(text)) {
        resolve();
        return false;
      }
      if (this.#hasEnded) {
        reject(new Error(`the run ended without writing ${JSON.stringify(text)}; it wrote ${JSON.stringify(written)}`));
      }
      return !this.#hasEnded;
    });
  }
}

function joined(chunks: WrittenChunk[]): string {
  return chunks.map((chunk) => chunk.text).join('');
}
