import { DynflowError, messageOf, type JsonObject } from '@dynflow/kernel';
import type { OutcomeV1, StepErrorV1 } from '@dynflow/contracts';
import type { z } from 'zod';
import { Release, StepFailure, Suspension, type ActionDefinition, type RunContext } from '../action.js';
import { suspensionOutcome } from '../suspend-options.js';
import { jsonFaultOf } from './json-fault.js';

/** How an invocation of `run` or `finalize` ended. */
export type InvocationOutcome = Extract<OutcomeV1, { kind: 'done' | 'failed' | 'suspended' | 'released' }>;

/** The input as the action's schema gives it back, or the outcome of a step whose input does not fit. */
export type ParsedInput = { ok: true; input: unknown } | { ok: false; outcome: InvocationOutcome };

/**
 * Parses an input with the action's schema. What does not fit becomes a failed outcome that names the field and what was expected
 * there; the value itself, which may be secret, is not repeated.
 */
export async function parseActionInput(action: ActionDefinition, input: JsonObject): Promise<ParsedInput> {
  const parsed = await safeParse(action.input, input);
  if (parsed.success) {
    return { ok: true, input: parsed.data };
  }
  const message = parsed.error.issues.map((issue) => `${['input', ...issue.path].map(String).join('.')}: ${issue.message}`).join('; ');
  return { ok: false, outcome: failed({ errorClass: 'InvalidInputError', code: 'DYN_INVALID_INPUT', message, kind: 'final' }) };
}

/**
 * Calls the action's code for this phase and turns whatever it does into an outcome. Never throws: an error becomes a failed outcome
 * with the error's name and message, without its stack; an output that JSON cannot carry becomes one that names the place.
 */
export async function invokeAction(
  action: ActionDefinition,
  phase: 'run' | 'finalize',
  context: RunContext<unknown, unknown>,
  around: (code: () => Promise<unknown>) => Promise<unknown> = async (call) => call(),
): Promise<InvocationOutcome> {
  const code = phase === 'run' ? action.run : action.finalize;
  if (typeof code !== 'function') {
    return failed({ errorClass: 'MissingPhaseError', message: `the action ${action.name} has no ${phase} here`, kind: 'retryable' });
  }
  try {
    const returned: unknown = await around(async () => code(context));
    if (returned instanceof Release) {
      return released(action, returned);
    }
    return returned instanceof Suspension ? suspended(returned) : done(action, phase, returned);
  } catch (error) {
    return failureOf(error);
  }
}

/** The failed outcome that stands for something thrown. */
export function failureOf(error: unknown): InvocationOutcome {
  if (error instanceof StepFailure) {
    const fault = jsonFaultOf(error.output ?? {});
    const output = fault === null && error.output !== undefined ? { output: error.output } : {};
    return { ...failed({ errorClass: error.name, message: error.message, kind: error.kind }), ...output };
  }
  if (error instanceof DynflowError) {
    return failed({ errorClass: error.name, message: error.message, code: error.code, kind: 'final' });
  }
  const errorClass = error instanceof Error && error.name !== '' ? error.name : 'Error';
  return failed({ errorClass, message: messageOf(error), kind: 'final' });
}

function done(action: ActionDefinition, phase: string, returned: unknown): InvocationOutcome {
  const fault =
    typeof returned !== 'object' || returned === null || Array.isArray(returned)
      ? `expected an object, got ${describe(returned)}`
      : jsonFaultOf(returned);
  if (fault !== null) {
    return notJson(`what ${action.name} returned from ${phase}`, fault);
  }
  return { kind: 'done', output: returned as JsonObject };
}

function suspended({ options }: Suspension): InvocationOutcome {
  const fault = jsonFaultOf(options);
  return fault === null ? suspensionOutcome(options) : notJson('the suspension', fault);
}

function released(action: ActionDefinition, { checkpoint }: Release): InvocationOutcome {
  if (action.resumable !== true) {
    const message = `${action.name} released its step, but is not declared resumable: no other executor may go on with it`;
    return failed({ errorClass: 'CannotRelease', code: 'DYN_CANNOT_RELEASE', message, kind: 'unknown' });
  }
  const fault = jsonFaultOf(checkpoint);
  return fault === null ? { kind: 'released', checkpoint } : notJson('the checkpoint', fault);
}

function notJson(what: string, fault: string): InvocationOutcome {
  return failed({
    errorClass: 'InvalidOutputError',
    code: 'DYN_INVALID_OUTPUT',
    message: `${what} cannot be kept as JSON: ${fault}`,
    kind: 'final',
  });
}

function failed(error: StepErrorV1): Extract<InvocationOutcome, { kind: 'failed' }> {
  return { kind: 'failed', error };
}

function describe(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

/** Synchronous where the schema allows it, which is nearly always and much cheaper. */
async function safeParse(schema: z.ZodType, input: JsonObject): Promise<z.ZodSafeParseResult<unknown>> {
  try {
    return schema.safeParse(input);
  } catch {
    // The only error that a parse throws by itself says that the schema has asynchronous parts.
    return schema.safeParseAsync(input);
  }
}
