import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { GrantV1, StepEventV1, SubPlanCounts } from '@dynflow/contracts';
import { CancelSwitch, assertJson, type DocumentStore, type InvocationOutcome, type PluginLog, type RunContext } from '@dynflow/plugin';
import type { ExecutorEnvironment } from '../executor-environment.js';
import type { HeldStep, StepEventReceiver } from '../protocol/held-step.js';
import type { Outbox } from '../protocol/outbox.js';
import type { OutputSender } from '../protocol/output-sender.js';
import { StepOutput } from '../protocol/step-output.js';
import { SaidProgress } from './said-progress.js';

/** What all runs of an executor share. */
export interface RunSurroundings {
  readonly environment: ExecutorEnvironment;
  readonly store: DocumentStore;
  readonly outbox: Outbox;
  readonly sender: OutputSender;
}

/** One granted step while its code runs: what the plugin's `run` and `finalize` see as their context. */
export class StepRun implements RunContext<unknown, unknown>, StepEventReceiver {
  /** Set by the host of the plugin before the code is called. */
  input: unknown;
  services: unknown;
  readonly #stepOutput: StepOutput;
  readonly #cancel = new CancelSwitch();
  readonly #draining = new AbortController();
  #log: PluginLog | undefined;
  #onEvent: ((data: JsonValue) => void) | undefined;
  #earlyEvents: JsonValue[];
  #seenEvents: Set<string> | undefined;
  #progress: SaidProgress | undefined;
  #hasEnded = false;
  #hasWarned = false;

  constructor(
    private readonly held: HeldStep,
    readonly grant: GrantV1,
    private readonly surroundings: RunSurroundings,
    private readonly mayWrite: boolean,
  ) {
    this.#stepOutput = new StepOutput(grant.nextSeq, surroundings.environment.tuning.outputWindowBytes);
    held.output = this.#stepOutput;
    // What woke a parked step comes first.
    this.#earlyEvents = grant.events;
    if (grant.cancel !== undefined) {
      this.#cancel.cancel(grant.cancel.force);
    }
  }

  get plan(): string {
    return this.grant.plan;
  }

  get step(): number {
    return this.grant.step;
  }

  get attempt(): number {
    return this.grant.attempt;
  }

  get output(): JsonObject {
    return this.grant.output;
  }

  get subPlans(): SubPlanCounts | undefined {
    return this.grant.subPlans;
  }

  get checkpoint(): JsonValue | undefined {
    return this.grant.checkpoint;
  }

  get store(): DocumentStore {
    return this.surroundings.store;
  }

  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  get log(): PluginLog {
    this.#log ??= logOfStep(this.surroundings.environment.log, { plan: this.plan, step: this.step });
    return this.#log;
  }

  // The three below are functions of the object, so that `const { write } = context` works.

  readonly write = async (kind: string, text: string, options: { id?: string | number; timestampMs?: number } = {}): Promise<void> => {
    if (this.#hasEnded) {
      this.#warnLate('output');
      return;
    }
    if (!this.mayWrite) {
      throw new TypeError(`the action ${this.grant.action} writes output but declares no chunksAs`);
    }
    if (text === '' && options.id === undefined) {
      return;
    }
    const { environment, sender } = this.surroundings;
    const nowMs = environment.clock.now();
    this.#stepOutput.add(kind, text, options.timestampMs ?? nowMs, options.id);
    sender.wrote(this.held, nowMs);
    await this.#stepOutput.room(environment.tuning.outputWindowBytes);
  };

  readonly update = (change: { output?: JsonObject; checkpoint?: JsonValue }): void => {
    if (this.#hasEnded) {
      this.#warnLate('an update');
      return;
    }
    assertJson(`an update of ${this.grant.action}`, change, 'update');
    // A copy: the run may go on changing what it gave us.
    const copy = JSON.parse(JSON.stringify({ output: change.output, checkpoint: change.checkpoint })) as typeof change;
    this.surroundings.outbox.add(this.held, { kind: 'checkpoint', ...copy });
  };

  readonly planEvent = (data: JsonValue, afterMs: number): void => {
    if (this.#hasEnded) {
      this.#warnLate('a planned event');
      return;
    }
    assertJson(`an event that ${this.grant.action} planned`, data, 'data');
    this.surroundings.outbox.add(this.held, {
      kind: 'checkpoint',
      planEvents: [{ data: JSON.parse(JSON.stringify(data)) as JsonValue, afterMs }],
    });
  };

  readonly progress = (fraction: number): void => {
    if (this.#hasEnded) {
      this.#warnLate('its progress');
      return;
    }
    const { environment, outbox } = this.surroundings;
    this.#progress ??= new SaidProgress(environment.clock, (progress) => outbox.add(this.held, { kind: 'checkpoint', progress }));
    this.#progress.say(fraction);
  };

  readonly onEvent = (callback: (data: JsonValue) => void): void => {
    this.#onEvent = callback;
    const early = this.#earlyEvents;
    this.#earlyEvents = [];
    for (const data of early) {
      callback(data);
    }
  };

  receive(event: StepEventV1['event']): void {
    if (this.#hasEnded) {
      return;
    }
    if (event.kind === 'cancel') {
      this.#cancel.cancel(event.force, event.reason);
      return;
    }
    this.#seenEvents ??= new Set();
    if (this.#seenEvents.has(event.id)) {
      return;
    }
    this.#seenEvents.add(event.id);
    if (this.#onEvent === undefined) {
      this.#earlyEvents.push(event.data);
      return;
    }
    try {
      this.#onEvent(event.data);
    } catch (error) {
      this.log.error('the event handler of the step failed', { reason: String(error) });
    }
  }

  /** The executor is to stop. */
  drain(): void {
    this.#draining.abort();
  }

  /** The code has returned: whatever it still does with this context is too late. @returns the outcome, with what was left to say. */
  end(outcome: InvocationOutcome): InvocationOutcome {
    this.#hasEnded = true;
    const progress = this.#progress?.end();
    if (progress !== undefined && outcome.kind === 'suspended') {
      return { progress, ...outcome };
    }
    if (progress !== undefined && outcome.kind === 'failed') {
      this.surroundings.outbox.add(this.held, { kind: 'checkpoint', progress });
    }
    return outcome;
  }

  #warnLate(what: string): void {
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      this.log.warn(`${what} came after the step had returned; it is dropped`, { action: this.grant.action });
    }
  }
}

function logOfStep(log: PluginLog, step: JsonObject): PluginLog {
  return {
    debug: (message, facts) => log.debug(message, { ...step, ...facts }),
    info: (message, facts) => log.info(message, { ...step, ...facts }),
    warn: (message, facts) => log.warn(message, { ...step, ...facts }),
    error: (message, facts) => log.error(message, { ...step, ...facts }),
  };
}
