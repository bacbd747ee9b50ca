import { randomBytes, randomUUID } from 'node:crypto';
import { DynflowError, isJsonObject } from '@dynflow/kernel';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { CertificateFiles } from '../tls/certificates.js';
import { exchange } from './http-exchange.js';
import type { HttpAnswer } from './http-exchange.js';
import { scriptBatchPayload } from './script-payload.js';
import type { LaunchedHost, ScriptJob } from './script-payload.js';
import { WaitTimedOutError } from './wait.js';

export interface ProxyClientOptions {
  /** Goes before `/tasks…`: `/dynflow` at a smart proxy (unless given), nothing at a core on 8008. */
  prefix?: '' | '/dynflow';
  /** For https: the authority to trust and the certificate to show. */
  tls?: { ca: string } & Partial<CertificateFiles>;
  /** What Foreman registered the proxy as; `baseUrl` unless given. Goes into every job. */
  proxyUrl?: string;
}

/** The answer to a launch. A refused launch is no error here: look at `status`. */
export interface Launch {
  readonly status: number;
  readonly answer: JsonValue | undefined;
  readonly payload: JsonObject;
  readonly hosts: readonly LaunchedHost[];
  /** The batch's own plan; undefined if the launch was refused or the answer names none. */
  readonly parentId: string | undefined;
}

export interface PlanState {
  readonly state: string;
  readonly result: string;
}

/** A plan's status document; only what Foreman itself reads is named here. */
export interface PlanDocument extends JsonObject {
  state: string;
  result: string;
  actions: JsonValue[];
}

/** Thrown when the proxy's answer is not one that Foreman could work with. */
export class ProxyAnswerError extends DynflowError {
  readonly status: number;

  constructor(what: string, answer: HttpAnswer) {
    super('DYN_TESTING_PROXY_ANSWER', `${what}: HTTP ${answer.status} ${answer.text.slice(0, 500)}`);
    this.status = answer.status;
  }
}

/** Speaks to a smart proxy, or to a core on 8008, with exactly the requests that Foreman sends. */
export class ProxyClient {
  readonly baseUrl: string;
  readonly #prefix: string;
  readonly #options: ProxyClientOptions;

  constructor(baseUrl: string, options: ProxyClientOptions = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.#prefix = options.prefix ?? '/dynflow';
    this.#options = options;
  }

  /** Launches a batch of script jobs, one plan and one task id per host. */
  async launch(jobs: readonly ScriptJob[], options: { operation?: string } = {}): Promise<Launch> {
    const proxyUrl = this.#options.proxyUrl ?? this.baseUrl;
    const { payload, hosts } = scriptBatchPayload(jobs, { ...options, proxyUrl });
    const answer = await this.post('/tasks/launch', payload);
    return { status: answer.status, answer: answer.body, payload, hosts, parentId: parentOf(answer.body) };
  }

  /** Launches one action through the operation `single`; the answer is the proxy's. A callback is added unless the input has one. */
  async launchSingle(actionClass: string, actionInput: JsonObject): Promise<HttpAnswer & { readonly taskId: string }> {
    const taskId = randomUUID();
    const input = { callback: { task_id: taskId, step_id: 3 }, ...actionInput };
    const payload = { operation: 'single', input: { action_input: input, action_class: actionClass }, options: {} };
    return { ...(await this.post('/tasks/launch', payload)), taskId };
  }

  /** A plan's status document; undefined when the proxy does not know it (404). */
  async status(id: string): Promise<PlanDocument | undefined> {
    const answer = await this.send('GET', `/tasks/${encodeURIComponent(id)}/status`);
    return answer.status === 404 ? undefined : documentOf('status', answer, answer.body);
  }

  /** The status documents of those plans that the proxy knows. */
  async statuses(ids: readonly string[]): Promise<Record<string, PlanDocument>> {
    const answer = await this.post('/tasks/statuses', { task_ids: [...ids] });
    const entries = Object.entries(objectOf('statuses', answer));
    return Object.fromEntries(entries.map(([id, document]) => [id, documentOf('statuses', answer, document)]));
  }

  /** State and result of those plans that the proxy knows; null ids are sent along, as Foreman does for tasks without a parent. */
  async states(ids: readonly (string | null)[]): Promise<Record<string, PlanState>> {
    const answer = await this.post('/tasks/status', { task_ids: [...ids] });
    const entries = Object.entries(objectOf('states', answer));
    return Object.fromEntries(
      entries.map(([id, value]) => {
        if (!isJsonObject(value) || typeof value['state'] !== 'string' || typeof value['result'] !== 'string') {
          throw new ProxyAnswerError(`states of ${id}`, answer);
        }
        return [id, { state: value['state'], result: value['result'] }];
      }),
    );
  }

  /** Asks the proxy to cancel and says how many steps were; the request has an empty body, as Foreman's. */
  async cancel(id: string): Promise<number> {
    const answer = await this.send('POST', `/tasks/${encodeURIComponent(id)}/cancel`, { rawBody: '' });
    const count = objectOf('cancel', answer)['canceled_steps_count'];
    if (typeof count !== 'number') {
      throw new ProxyAnswerError('cancel', answer);
    }
    return count;
  }

  /** How many plans are in a state; `running` is what Foreman asks to find the least loaded proxy. */
  async count(state = 'running'): Promise<number> {
    const answer = await this.send('GET', `/tasks/count?state=${encodeURIComponent(state)}`);
    const count = objectOf('count', answer)['count'];
    if (typeof count !== 'number') {
      throw new ProxyAnswerError('count', answer);
    }
    return count;
  }

  async operations(): Promise<string[]> {
    const answer = await this.send('GET', '/tasks/operations');
    if (answer.status !== 200 || !Array.isArray(answer.body)) {
      throw new ProxyAnswerError('operations', answer);
    }
    return answer.body.map(String);
  }

  /**
   * Asks for a plan's document again and again until it satisfies `isEnough`. Where a callback will come, wait for that instead.
   *
   * @throws {WaitTimedOutError} with the last document when it takes longer than `timeoutMs`.
   */
  async waitForStatus(id: string, isEnough: (document: PlanDocument) => boolean, options: { timeoutMs: number }): Promise<PlanDocument> {
    const until = Date.now() + options.timeoutMs;
    for (;;) {
      const document = await this.status(id);
      if (document !== undefined && isEnough(document)) {
        return document;
      }
      if (Date.now() > until) {
        throw new WaitTimedOutError(`the status of ${id}`, options.timeoutMs, `last document: ${JSON.stringify(document)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends any JSON to a path below the prefix. */
  post(path: string, body: JsonValue): Promise<HttpAnswer> {
    return this.send('POST', path, { rawBody: JSON.stringify(body) });
  }

  /** Sends anything to a path below the prefix, or outside of it with `isAbsolute`, with the headers that Foreman sends. */
  send(
    method: string,
    path: string,
    options: { rawBody?: string; headers?: Readonly<Record<string, string>>; isAbsolute?: boolean } = {},
  ): Promise<HttpAnswer> {
    const { rawBody, headers = {}, isAbsolute = false } = options;
    return exchange(`${this.baseUrl}${isAbsolute ? '' : this.#prefix}${path}`, {
      method,
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        'x-request-id': randomBytes(32).toString('hex'),
        ...headers,
      },
      ...(rawBody === undefined ? {} : { rawBody }),
      ...(this.#options.tls === undefined ? {} : { tls: this.#options.tls }),
    });
  }
}

function parentOf(answer: JsonValue | undefined): string | undefined {
  const parent = isJsonObject(answer) ? answer['parent'] : undefined;
  const id = isJsonObject(parent) ? parent['task_id'] : undefined;
  return typeof id === 'string' ? id : undefined;
}

function objectOf(what: string, answer: HttpAnswer): JsonObject {
  if (answer.status !== 200 || !isJsonObject(answer.body)) {
    throw new ProxyAnswerError(what, answer);
  }
  return answer.body;
}

function documentOf(what: string, answer: HttpAnswer, value: JsonValue | undefined): PlanDocument {
  const isDocument =
    answer.status === 200 &&
    isJsonObject(value) &&
    typeof value['state'] === 'string' &&
    typeof value['result'] === 'string' &&
    Array.isArray(value['actions']);
  if (!isDocument) {
    throw new ProxyAnswerError(what, answer);
  }
  return value as PlanDocument;
}
