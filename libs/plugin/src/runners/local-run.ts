import { InvalidInputError, messageOf, type JsonObject } from '@dynflow/kernel';
import type { LocalInvocation, LocalOutcome, LocalResult } from '@dynflow/contracts';
import type { GatewayMiddleware } from '../gateway-middleware.js';
import { LocalRunContext, type LocalActionDefinition } from '../local-action.js';
import { jsonFaultOf } from './json-fault.js';
import { NotJsonError } from './phases.js';

/**
 * Invokes a local action with what stands around it.
 *
 * @throws what its code throws; InvalidInputError naming the field that does not fit; NotJsonError for anything that JSON cannot carry.
 */
export function runLocalAction(
  { name, run, input }: { name: string; run: NonNullable<LocalActionDefinition['run']>; input: LocalActionDefinition['input'] },
  invocation: LocalInvocation,
  middleware: readonly GatewayMiddleware[] = [],
): LocalResult {
  const commands: LocalResult['commands'] = [];
  const from = (level: number, current: JsonObject): LocalOutcome => {
    const around = middleware[level];
    if (around !== undefined) {
      const pass = (changed?: JsonObject): LocalOutcome => from(level + 1, changed ?? current);
      return around.run === undefined ? pass() : around.run(pass, { action: name, input: current, invocation });
    }
    const parsed = parsedOnce(input, current);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const field = `input.${issue?.path.join('.') ?? ''}`;
      throw new InvalidInputError(field, `${field}: ${issue?.message ?? messageOf(parsed.error)}`);
    }
    const context = new LocalRunContext(invocation, parsed.data);
    const outcome = run(context as LocalRunContext<never>);
    commands.push(...context.commands);
    return outcome;
  };
  const result: LocalResult = { outcome: from(0, invocation.input), commands };
  const fault = jsonFaultOf(result.outcome, 'outcome') ?? jsonFaultOf(result.commands, 'commands');
  if (fault !== null) {
    throw new NotJsonError('DYN_INVALID_OUTPUT', `what ${name} decided`, fault);
  }
  return result;
}

type Parsed = ReturnType<LocalActionDefinition['input']['safeParse']>;

/** By schema, then by input: an action that waits for ten thousand sub-plans is invoked as often, with the same input. */
const parsedInputs = new WeakMap<LocalActionDefinition['input'], WeakMap<JsonObject, Parsed>>();

function parsedOnce(schema: LocalActionDefinition['input'], input: JsonObject): Parsed {
  const known = parsedInputs.get(schema) ?? new WeakMap<JsonObject, Parsed>();
  parsedInputs.set(schema, known);
  const parsed = known.get(input) ?? schema.safeParse(input);
  known.set(input, parsed);
  return parsed;
}
