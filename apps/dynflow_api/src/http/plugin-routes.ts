import { DynflowError, UnavailableError, messageOf, type IdSource } from '@dynflow/kernel';
import { HttpAnswerV1, subjects, type HttpRequestV1, type RouteDeclaration } from '@dynflow/contracts';
import type { MessageBus } from '@dynflow/bus';
import { requestIdOf, withRequestId } from '@dynflow/platform';
import type { GatewayAnswer, GatewayRoute, PluginLog } from '@dynflow/plugin';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerOf, refusalFor, type AccessRules } from './access.js';

const CARRIED_TIMEOUT_MS = 30_000;

/**
 * Serves the routes of plugins: those of plugins inside the gateway directly, those of executor plugins over the bus. Fastify fixes its
 * routes at start, and executors come later, so carried routes are found in a table that grows.
 */
export class PluginRoutes {
  readonly #rules: AccessRules;
  readonly #bus: MessageBus;
  readonly #site: string;
  readonly #log: PluginLog;
  readonly #ids: IdSource;
  readonly #carried = new Map<string, { plugin: string; route: RouteDeclaration; pattern: RegExp; names: string[] }>();

  constructor(options: { rules: AccessRules; bus: MessageBus; site: string; log: PluginLog; ids: IdSource }) {
    this.#rules = options.rules;
    this.#bus = options.bus;
    this.#site = options.site;
    this.#log = options.log;
    this.#ids = options.ids;
  }

  /** Puts the routes of plugins inside the gateway into the server, and the look-up of the others behind them. */
  mount(server: FastifyInstance, routes: readonly GatewayRoute[]): void {
    for (const route of routes) {
      for (const url of withTrailingSlash(route)) {
        server.route({
          method: route.method,
          url,
          handler: (request, reply) => this.#traced(request, () => this.#answer(route, request, reply)),
        });
      }
    }
    server.setNotFoundHandler((request, reply) => this.#traced(request, () => this.#carry(request, reply)));
  }

  /** Routes that executors of a plugin answer. A later declaration replaces an earlier one. */
  carry(plugin: string, routes: readonly RouteDeclaration[]): void {
    for (const route of routes) {
      const names = [...route.path.matchAll(/:([A-Za-z0-9_]+)/g)].map((match) => match[1] ?? '');
      const pattern = new RegExp(`^${route.path.replace(/:[A-Za-z0-9_]+/g, '([^/]+)')}$`);
      this.#carried.set(`${route.method} ${route.path}`, { plugin, route, pattern, names });
    }
  }

  /** All that is logged for a request carries its id: the caller's, or one of ours. */
  #traced(request: FastifyRequest, work: () => Promise<void>): Promise<void> {
    return withRequestId(requestIdOf(request.headers['x-request-id'], this.#ids), work);
  }

  async #answer(route: GatewayRoute, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const caller = callerOf(request, this.#rules);
    const refusal = refusalFor(route.access, caller);
    if (refusal !== undefined) {
      send(reply, { status: 403, json: { error: refusal, code: 'DYN_FORBIDDEN' } });
      return;
    }
    try {
      const answer = await route.handle({
        method: request.method,
        path: pathOf(request),
        params: request.params as Record<string, string>,
        query: flat(request.query as Record<string, unknown>),
        headers: flat(request.headers),
        body: bodyOf(request),
        clientName: caller.clientName,
        isTrusted: caller.isTrusted,
        protocol: caller.protocol,
        host: request.headers.host ?? '',
      });
      send(reply, answer);
    } catch (error) {
      this.#fail(request, reply, error);
    }
  }

  async #carry(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const path = pathOf(request);
    for (const { plugin, route, pattern, names } of this.#carried.values()) {
      const match = route.method === request.method ? pattern.exec(path) : null;
      if (match !== null) {
        const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(match[index + 1] ?? '')]));
        await this.#forward(plugin, route, params, request, reply);
        return;
      }
    }
    send(reply, { status: 404, json: { error: 'Requested url was not found', code: 'DYN_NOT_FOUND' } });
  }

  async #forward(
    plugin: string,
    route: RouteDeclaration,
    params: Record<string, string>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const caller = callerOf(request, this.#rules);
    const refusal = refusalFor(route.access, caller);
    if (refusal !== undefined) {
      send(reply, { status: 403, json: { error: refusal, code: 'DYN_FORBIDDEN' } });
      return;
    }
    const { authorization: _, cookie: __, ...headers } = flat(request.headers);
    const message: HttpRequestV1 = {
      type: 'http',
      version: 1,
      method: request.method,
      route: route.path,
      params,
      query: flat(request.query as Record<string, unknown>),
      headers,
      body: bodyOf(request),
      clientName: caller.clientName,
    };
    try {
      const answered = await this.#bus.request(subjects.http(plugin, this.#site), message, { timeoutMs: CARRIED_TIMEOUT_MS });
      const answer = HttpAnswerV1.parse(answered);
      send(reply, { status: answer.status, text: answer.body, headers: answer.headers });
    } catch (error) {
      this.#fail(request, reply, error);
    }
  }

  #fail(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    if (error instanceof UnavailableError) {
      send(reply, { status: 503, json: { error: error.message, code: error.code }, headers: { 'retry-after': '5' } });
      return;
    }
    this.#log.error('a request failed', { method: request.method, path: pathOf(request), reason: messageOf(error) });
    const code = error instanceof DynflowError ? error.code : 'DYN_INTERNAL';
    send(reply, { status: 500, json: { error: 'The service failed to answer; its log says why.', code } });
  }
}

/** Sends an answer of a plugin. */
export function send(reply: FastifyReply, answer: GatewayAnswer): void {
  void reply.code(answer.status);
  if (answer.json !== undefined) {
    void reply
      .header('content-type', 'application/json')
      .headers(answer.headers ?? {})
      .send(JSON.stringify(answer.json));
  } else {
    void reply.headers({ 'content-type': 'text/plain; charset=utf-8', ...answer.headers }).send(answer.text ?? '');
  }
}

/** `POST /tasks` and `POST /tasks/launch` have always been called with a slash at the end too. */
function withTrailingSlash(route: GatewayRoute): string[] {
  return route.method === 'POST' && /\/tasks(\/launch)?$/.test(route.path) ? [route.path, `${route.path}/`] : [route.path];
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '/';
}

function bodyOf(request: FastifyRequest): string {
  return typeof request.body === 'string' ? request.body : '';
}

/** Header or query values as text; of a repeated one the first. */
function flat(values: Record<string, unknown>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(values)) {
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === 'string') {
      result[key] = first;
    }
  }
  return result;
}
