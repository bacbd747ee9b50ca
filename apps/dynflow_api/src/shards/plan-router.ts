import {
  DynflowError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
  assertNever,
  messageOf,
  type Clock,
  type JsonValue,
} from '@dynflow/kernel';
import { NoResponderError, type MessageBus } from '@dynflow/bus';
import { GatewayAnswerV1, GatewayRequestV1, subjects, type PlanOperation } from '@dynflow/contracts';

export interface PlanRouterOptions {
  readonly bus: MessageBus;
  readonly clock: Clock;
  /** The shards that this gateway works on now. */
  readonly owned: () => readonly number[];
  /** The shard of a stored plan; undefined if there is no such plan. */
  readonly shardOf: (plan: string) => Promise<number | undefined>;
  /** Does it here. */
  readonly perform: (operation: PlanOperation) => Promise<JsonValue>;
}

const ANSWER_WITHIN_MS = 20_000;
/** A shard has no owner while it changes hands. */
const OWNER_WITHIN_MS = 10_000;
const OWNER_RETRY_MS = 250;

/**
 * Has an operation on a plan done by the gateway that runs it, this one or another: whoever asks may ask any of them.
 *
 * @throws what the operation throws, wherever it is done; NotFoundError for an unknown plan; UnavailableError when nobody has its shard.
 */
export class PlanRouter {
  readonly #options: PlanRouterOptions;

  constructor(options: PlanRouterOptions) {
    this.#options = options;
  }

  async perform(operation: PlanOperation): Promise<JsonValue> {
    const { shardOf, owned, perform, clock } = this.#options;
    const untilMs = clock.now() + OWNER_WITHIN_MS;
    for (;;) {
      const shard = await shardOf(operation.plan);
      if (shard === undefined) {
        throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no plan ${operation.plan}`);
      }
      if (owned().includes(shard)) {
        return perform(operation);
      }
      try {
        return await this.#ask(shard, operation);
      } catch (error) {
        if (!(error instanceof NoResponderError)) {
          throw error;
        }
        if (clock.now() >= untilMs) {
          const message = `no gateway runs the plan ${operation.plan} at the moment; try again`;
          throw new UnavailableError('DYN_OWNER_AWAY', message, { cause: error });
        }
      }
      await new Promise<void>((resolve) => void clock.at(clock.now() + OWNER_RETRY_MS, resolve));
    }
  }

  /** Answers what another gateway asks for on `gateway.<shard>`. */
  async answer(message: unknown): Promise<GatewayAnswerV1> {
    const { operation } = GatewayRequestV1.parse(message);
    const answer = (outcome: GatewayAnswerV1['outcome']): GatewayAnswerV1 => ({ type: 'gateway.answer', version: 1, outcome });
    try {
      return answer({ ok: true, value: await this.#options.perform(operation) });
    } catch (error) {
      return answer({
        ok: false,
        kind: kindOf(error),
        code: error instanceof DynflowError ? error.code : 'DYN_INTERNAL',
        message: messageOf(error),
        ...(error instanceof InvalidInputError ? { field: error.field } : {}),
      });
    }
  }

  async #ask(shard: number, operation: PlanOperation): Promise<JsonValue> {
    const request: GatewayRequestV1 = { type: 'gateway.request', version: 1, operation };
    const answer = await this.#options.bus.request(subjects.gateway(shard), request, { timeoutMs: ANSWER_WITHIN_MS });
    const { outcome } = GatewayAnswerV1.parse(answer);
    if (outcome.ok) {
      return outcome.value;
    }
    throw errorFrom(outcome);
  }
}

type Failure = Extract<GatewayAnswerV1['outcome'], { ok: false }>;

function kindOf(error: unknown): Failure['kind'] {
  if (error instanceof NotFoundError) {
    return 'notFound';
  }
  if (error instanceof InvalidInputError) {
    return 'invalidInput';
  }
  return error instanceof UnavailableError ? 'unavailable' : 'other';
}

function errorFrom({ kind, code, message, field }: Failure): DynflowError {
  switch (kind) {
    case 'notFound':
      return new NotFoundError(code, message);
    case 'invalidInput':
      return new InvalidInputError(field ?? '', message);
    case 'unavailable':
      return new UnavailableError(code, message);
    case 'other':
      return new DynflowError(code, message);
    default:
      return assertNever(kind);
  }
}
