import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { OutcomeV1, StepErrorV1, SubPlanCountsV1 } from './messages/step.js';

/**
 * Local actions run inside the gateway, in the director's own turn: synchronously, without claim or hop, and without any input or
 * output of their own. What they want done outside they ask for as commands; what comes of it is an event for their next invocation.
 * They never travel over the bus, so these are types and not schemas.
 */

/** Why a local action is invoked again after it suspended. After a restart it is invoked with no event at all. */
export type LocalEvent =
  | { kind: 'timer' }
  | { kind: 'cancel'; force: boolean }
  | { kind: 'external'; data: JsonValue }
  | { kind: 'effect'; name: string; ok: true; value: JsonValue }
  | { kind: 'effect'; name: string; ok: false; error: StepErrorV1 }
  /** The sub-plans that the last `spawn` asked for are made; they and what this invocation decides are committed together. */
  | { kind: 'spawned'; plans: string[] }
  | { kind: 'subPlans'; counts: SubPlanCounts };

/** How the sub-plans of an action stand. */
export type SubPlanCounts = SubPlanCountsV1;

/** A plan to be made as a child of the plan that asks for it. An id that exists already is left alone, so asking again is safe. */
export interface SubPlanRequest {
  id?: string;
  action: string;
  input: JsonObject;
  /** Shown as the plan's label; default: the action's name. */
  label?: string;
  /** Sealed secret input keys (compact JWE), as the caller got them. */
  sealedSecrets?: string;
  /** The starter of this work is another system that is told the outcome: nothing is left for anybody to resume. */
  isExternal?: boolean;
  /** Of two plans that could go on, the one with the higher number goes first. Default 0; sub-plans have their caller's. */
  priority?: number;
  /** Words to find the plan by (`host`, `external_id`, …), each value up to 255 characters. */
  attributes?: Record<string, string>;
  /** The plan begins later: see {@link Schedule}. */
  schedule?: Partial<Schedule>;
}

/** When a plan may begin. Times are epoch milliseconds. */
export interface Schedule {
  /** Not before this moment; null: as soon as nothing else holds it. */
  startAtMs: number | null;
  /** A plan that could not begin before this moment ends `stopped` with result `error`. */
  startBeforeMs: number | null;
  /** Held until somebody unfreezes it. */
  isFrozen: boolean;
  /** Plans that must have stopped before: if one of them failed, was cancelled or halted, this one ends with an error. */
  after: string[];
}

/** What a local action asks for besides its outcome. */
export type LocalCommand =
  /** With a limit of 0 none of them starts before it is told to. */
  | { kind: 'spawn'; children: SubPlanRequest[]; concurrencyLimit?: number }
  /** That many of the sub-plans that wait start, the oldest first, whatever the limit. */
  | { kind: 'startSubPlans'; count: number }
  /** All sub-plans that wait end without having begun; the message says why. */
  | { kind: 'cancelWaitingSubPlans'; message: string }
  | { kind: 'effect'; name: string; payload: JsonValue }
  /** An event for this step itself, at a later time, as if it were sent from outside. */
  | { kind: 'planEvent'; data: JsonValue; afterMs: number };

/** What a local action sees. */
export interface LocalInvocation {
  plan: string;
  step: number;
  attempt: number;
  nowMs: number;
  input: JsonObject;
  output: JsonObject;
  checkpoint: JsonValue | undefined;
  /** What the plan's starter gave along as sealed secrets, opaque. */
  sealedSecrets: string | undefined;
  event: LocalEvent | undefined;
  /** How its sub-plans stand now; undefined when it has none. */
  subPlans: SubPlanCounts | undefined;
}

/** How a local invocation ended. */
export type LocalOutcome = Extract<OutcomeV1, { kind: 'done' | 'failed' | 'suspended' }>;

/** Outcome and commands together. */
export interface LocalResult {
  outcome: LocalOutcome;
  commands: LocalCommand[];
}
