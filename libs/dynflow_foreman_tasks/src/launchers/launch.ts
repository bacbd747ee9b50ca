import { randomUUID } from 'node:crypto';
import { InvalidInputError, NotFoundError, UnavailableError, type JsonObject } from '@dynflow/kernel';
import type { GatewayApi, GatewayRequest, OperationStatus } from '@dynflow/plugin';
import { objectField, textField } from '../routes/request-body.js';
import { jobInput, packSecrets, type LaunchFacts, type SealedSecrets } from './hosts.js';

/** The launcher that every gateway has: one action, by its name. */
export const SINGLE = 'single';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Thrown for an operation that no plugin offers; `POST /tasks/launch` answers it with 404. */
export class UnknownOperationError extends NotFoundError {
  constructor(operation: string, known: readonly string[]) {
    super('DYN_UNKNOWN_OPERATION', `Unknown operation '${operation}' requested. This service has: ${known.join(', ')}.`);
  }
}

/** Thrown for an operation whose executors cannot run it: launching it would only let hosts wait. Foreman tells its user at once. */
export class OperationUnavailableError extends UnavailableError {
  constructor(operation: OperationStatus) {
    super('DYN_OPERATION_BROKEN', `The operation '${operation.name}' cannot be run: ${operation.reason ?? 'its plugin is broken'}`);
  }
}

/** What `operation` can be launched with here. */
export function launchableOperations(gateway: GatewayApi): OperationStatus[] {
  return gateway.operations().filter((operation) => operation.launcher !== 'group');
}

/** Launches what the body of `POST /tasks/launch` asks for, after all of it has been checked: nothing is ever half-started. */
export async function launch(gateway: GatewayApi, request: GatewayRequest, body: JsonObject): Promise<JsonObject> {
  const operation = textField(body, 'operation');
  if (operation === SINGLE) {
    return launchSingle(gateway, request, objectField(body, 'input'));
  }
  const operations = launchableOperations(gateway);
  const found = operations.find((candidate) => candidate.name === operation);
  if (found === undefined) {
    throw new UnknownOperationError(operation, [SINGLE, ...operations.map((candidate) => candidate.name)]);
  }
  if (found.availability === 'broken') {
    throw new OperationUnavailableError(found);
  }
  return launchBatch(gateway, request, found, objectField(body, 'input'));
}

/** One plan of one action; also what the old `POST /tasks` does. */
export async function launchAction(
  gateway: GatewayApi,
  request: GatewayRequest,
  options: { name: string; nameField: string; input: JsonObject; inputField: string },
): Promise<{ plan: string; errors: string[] }> {
  const action = gateway.resolveAction(options.name);
  if (action === undefined) {
    throw new InvalidInputError(options.nameField, `${options.nameField}: no plugin of this service has the action "${options.name}"`);
  }
  const plan = randomUUID();
  const facts = launchFacts(request, options.input);
  gateway.checkInput(action, options.input, options.inputField);
  const sealed = await gateway.seal(action, jobInput(options.input, facts), plan);
  const triggered = await gateway.trigger({
    id: plan,
    action,
    input: sealed.input,
    isExternal: options.input['callback'] !== undefined,
    ...(sealed.sealedSecrets === undefined ? {} : { sealedSecrets: sealed.sealedSecrets }),
  });
  const { error } = triggered;
  return { plan, errors: error === undefined ? [] : [`${error.message} (${error.errorClass})`] };
}

async function launchSingle(gateway: GatewayApi, request: GatewayRequest, input: JsonObject): Promise<JsonObject> {
  const launched = await launchAction(gateway, request, {
    name: textField(input, 'action_class', 'input.'),
    nameField: 'input.action_class',
    input: objectField(input, 'action_input', 'input.'),
    inputField: 'input.action_input',
  });
  return launched.errors.length === 0 ? { result: 'success', task_id: launched.plan } : { result: 'error', errors: launched.errors };
}

async function launchBatch(
  gateway: GatewayApi,
  request: GatewayRequest,
  operation: OperationStatus,
  input: JsonObject,
): Promise<JsonObject> {
  const ids = Object.keys(input);
  for (const id of ids) {
    checkEntry(gateway, operation, id, input);
  }
  const hidden: JsonObject = {};
  const secrets: SealedSecrets = {};
  for (const id of ids) {
    const entry = objectField(input, id);
    const sealed = await gateway.seal(operation.action, objectField(entry, 'action_input'), id);
    hidden[id] = { ...entry, action_input: sealed.input };
    if (sealed.sealedSecrets !== undefined) {
      secrets[id] = sealed.sealedSecrets;
    }
  }
  const [first] = ids;
  const facts = launchFacts(request, first === undefined ? {} : objectField(objectField(input, first), 'action_input'));
  const sealedSecrets = packSecrets(secrets);
  const { plan } = await gateway.trigger({
    action: 'dynflow_foreman_tasks.Batch',
    input: {
      input_hash: hidden,
      launcher: { class: 'dynflow_foreman_tasks.Batch', callback: facts.callbackHost, options: {} },
      current_request_id: facts.requestId,
      action: operation.action,
    },
    isExternal: true,
    ...(sealedSecrets === undefined ? {} : { sealedSecrets }),
  });
  return { parent: { result: 'success', task_id: plan } };
}

function checkEntry(gateway: GatewayApi, operation: OperationStatus, id: string, input: JsonObject): void {
  if (!UUID.test(id)) {
    throw new InvalidInputError(
      `input.${id}`,
      `input: expected plan ids (36 characters, hexadecimal with dashes) as keys, got "${id.slice(0, 60)}"`,
    );
  }
  const entry = objectField(input, id, 'input.');
  const actionInput = objectField(entry, 'action_input', `input.${id}.`);
  const { callback } = actionInput;
  if (callback !== undefined && callback !== null) {
    textField(objectField(actionInput, 'callback', `input.${id}.action_input.`), 'task_id', `input.${id}.action_input.callback.`);
  }
  gateway.checkInput(operation.action, actionInput, `input.${id}.action_input`);
}

/** Where jobs call back to: what Foreman knows this service as, or the address that this request came to. */
function launchFacts(request: GatewayRequest, actionInput: JsonObject): LaunchFacts {
  const { proxy_url: proxyUrl } = actionInput;
  const host = request.headers['x-forwarded-for'] ?? request.host;
  return {
    callbackHost: typeof proxyUrl === 'string' && proxyUrl !== '' ? proxyUrl : `${request.protocol}://${host}`,
    requestId: request.headers['x-request-id'] ?? randomUUID(),
  };
}
