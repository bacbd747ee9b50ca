import { DynflowError, InvalidInputError, NotFoundError, UnavailableError, messageOf } from '@dynflow/kernel';
import type { HttpAnswerV1, HttpRequestV1 } from '@dynflow/contracts';
import type { PluginLog } from '../action.js';
import type { Plugin, PluginRoute } from '../plugin.js';

/**
 * Has the plugin's handler answer a request for one of its routes. Never throws: an error of ours becomes 400, 404 or 503 with its
 * message and code, any other 500 with no more than that; the log has the rest. A route that the plugin does not have is 404.
 */
export async function answerRoute(plugin: Plugin, request: HttpRequestV1, services: unknown, log: PluginLog): Promise<HttpAnswerV1> {
  const routes: PluginRoute<unknown>[] = plugin.routes ?? [];
  const route = routes.find((one) => one.method === request.method && one.path === request.route);
  if (route === undefined) {
    return errorAnswer(404, { error: `${plugin.name} has no route ${request.method} ${request.route}` });
  }
  try {
    const { status = 200, headers = {}, body = '' } = await route.handle(request, services);
    return { type: 'http.answer', version: 1, status, headers, body };
  } catch (error) {
    if (error instanceof DynflowError) {
      return errorAnswer(statusOf(error), { error: error.message, code: error.code });
    }
    log.error('a route failed', { method: request.method, route: request.route, reason: messageOf(error) });
    return errorAnswer(500, { error: `${plugin.name} failed on this request; its log says more` });
  }
}

/** An answer of a status and a JSON body that says what went wrong. */
export function errorAnswer(status: number, body: { error: string; code?: string }): HttpAnswerV1 {
  return { type: 'http.answer', version: 1, status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function statusOf(error: DynflowError): number {
  if (error instanceof InvalidInputError) {
    return 400;
  }
  if (error instanceof NotFoundError) {
    return 404;
  }
  return error instanceof UnavailableError ? 503 : 500;
}
