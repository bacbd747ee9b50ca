import { InvalidInputError, NotFoundError, type JsonObject } from '@dynflow/kernel';
import type { GatewayAnswer, GatewayApi, GatewayRequest, GatewayRoute } from '@dynflow/plugin';
import { SINGLE, launch, launchAction, launchableOperations } from '../launchers/launch.js';
import { answering, bothDialects } from './answers.js';
import type { OneTimePasswords } from './one-time-passwords.js';
import { objectField, parseBody, taskIds, textField } from './request-body.js';
import { statusDocument } from './status-document.js';

/** Plans looked up in one bulk request; Foreman asks for up to a thousand rows with their parents. */
const MAX_TASK_IDS = 10_000;

/** The routes of the task API in both dialects. `docs/foreman-api.md` says what each answers. */
export function taskRoutes(gateway: GatewayApi, passwords: OneTimePasswords): GatewayRoute[] {
  const route = (
    method: 'GET' | 'POST',
    path: string,
    summary: string,
    handle: (request: GatewayRequest) => Promise<GatewayAnswer>,
    access: GatewayRoute['access'] = 'trusted',
  ): GatewayRoute => ({ method, path, summary, access, handle: answering(handle) });

  return bothDialects([
    route('POST', '/tasks', 'Plan one action by its name (deprecated)', (request) => legacyTrigger(gateway, request)),
    route('POST', '/tasks/launch', 'Launch jobs', async (request) => ok(await launch(gateway, request, parseBody(request.body)))),
    route('GET', '/tasks/count', 'Count plans by state', (request) => count(gateway, request)),
    route('GET', '/tasks/operations', 'Operations that can be launched', () => operations(gateway)),
    route('POST', '/tasks/status', 'States of many plans', (request) => states(gateway, request)),
    route('POST', '/tasks/statuses', 'Status documents of many plans', (request) => statuses(gateway, request)),
    route('GET', '/tasks/:id/status', 'Status document of a plan', (request) => status(gateway, request)),
    route('POST', '/tasks/:id/cancel', 'Cancel a plan', (request) => cancel(gateway, request)),
    route('POST', '/tasks/:id/update', 'News from a job', (request) => event(gateway, request, passwords, false), 'open'),
    route('POST', '/tasks/:id/done', 'Last news from a job', (request) => event(gateway, request, passwords, true), 'open'),
  ]);
}

const ok = (json: JsonObject): GatewayAnswer => ({ status: 200, json });

async function legacyTrigger(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const body = parseBody(request.body);
  const name = textField(body, 'action_name');
  const input = objectField(body, 'action_input');
  const { plan } = await launchAction(gateway, request, { name, nameField: 'action_name', input, inputField: 'action_input' });
  return ok({ task_id: plan });
}

async function count(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const state = request.query['state'] ?? 'all';
  return ok({ count: await gateway.count(state === 'all' ? undefined : state), state });
}

async function operations(gateway: GatewayApi): Promise<GatewayAnswer> {
  const available = launchableOperations(gateway).filter((operation) => operation.availability !== 'broken');
  return Promise.resolve({ status: 200, json: [SINGLE, ...available.map((operation) => operation.name)] });
}

async function states(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const found = await gateway.states(limited(taskIds(parseBody(request.body))));
  return ok(Object.fromEntries([...found].map(([id, plan]) => [id, { state: plan.state, result: plan.result }])));
}

async function statuses(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const ids = limited(taskIds(parseBody(request.body)));
  if (ids.length === 0) {
    throw new InvalidInputError('task_ids', 'task_ids: expected an array with at least one task id');
  }
  const plans = await gateway.plans(ids);
  return ok(Object.fromEntries(plans.map((plan) => [plan.id, statusDocument(plan)])));
}

async function status(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const [plan] = await gateway.plans([request.params['id'] ?? '']);
  return plan === undefined ? { status: 404, json: {} } : ok(statusDocument(plan));
}

async function cancel(gateway: GatewayApi, request: GatewayRequest): Promise<GatewayAnswer> {
  const id = request.params['id'] ?? '';
  const { canceledSteps } = await gateway.cancel(id);
  return ok({ task_id: id, canceled_steps_count: canceledSteps });
}

/** A job's own words, for the step that it names. The password counts if one is given; without it only trusted callers are heard. */
async function event(gateway: GatewayApi, request: GatewayRequest, passwords: OneTimePasswords, isLast: boolean): Promise<GatewayAnswer> {
  const id = request.params['id'] ?? '';
  const { authorization } = request.headers;
  const isAllowed = authorization === undefined ? request.isTrusted : passwords.accepts(authorization, id, isLast);
  if (!isAllowed) {
    return { status: 403, json: { error: 'Invalid username or password supplied', code: 'DYN_FORBIDDEN' } };
  }
  const body = parseBody(request.body);
  const [plan] = await gateway.states([id]).then((found) => [...found.keys()]);
  if (plan === undefined) {
    throw new NotFoundError('DYN_PLAN_NOT_FOUND', `there is no task ${id}`);
  }
  await gateway.sendEvent(id, stepIdOf(body), body);
  return { status: 200, text: '', headers: { 'content-type': 'application/json' } };
}

/** Jobs send the step's number as text or as number. */
function stepIdOf(body: JsonObject): number {
  const step = Number(body['step_id']);
  if (!Number.isInteger(step) || step < 1) {
    throw new InvalidInputError('step_id', 'step_id: expected the number of the step that waits for this');
  }
  return step;
}

function limited(ids: string[]): string[] {
  if (ids.length > MAX_TASK_IDS) {
    throw new InvalidInputError('task_ids', `task_ids: at most ${MAX_TASK_IDS} ids in one request, got ${ids.length}`);
  }
  return ids;
}
