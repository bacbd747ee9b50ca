import { DynflowError, InvalidInputError, NotFoundError, UnavailableError } from '@dynflow/kernel';
import type { GatewayAnswer, GatewayRequest, GatewayRoute } from '@dynflow/plugin';
import { MalformedJsonError } from './request-body.js';

/** An error as this dialect answers it: `{ "error": text, "code": …, "field": … }`. Foreman reads the status and shows the text. */
export function errorAnswer(error: unknown): GatewayAnswer {
  if (!(error instanceof DynflowError)) {
    throw error;
  }
  const json = { error: error.message, code: error.code, ...(error instanceof InvalidInputError ? { field: error.field } : {}) };
  return error instanceof UnavailableError ? { status: 503, json, headers: { 'retry-after': '5' } } : { status: statusOf(error), json };
}

function statusOf(error: DynflowError): number {
  if (error instanceof MalformedJsonError) {
    return 400;
  }
  if (error instanceof NotFoundError) {
    return 404;
  }
  return error instanceof InvalidInputError ? 422 : 500;
}

/** The same route under both prefixes: at the root for a relaying smart proxy, under `/dynflow` for Foreman itself. */
export function bothDialects(routes: GatewayRoute[]): GatewayRoute[] {
  return routes.flatMap((route) => [route, { ...route, path: `/dynflow${route.path}` }]);
}

/** Wraps a handler so that what it throws on purpose becomes an answer. */
export function answering(
  handle: (request: GatewayRequest) => Promise<GatewayAnswer>,
): (request: GatewayRequest) => Promise<GatewayAnswer> {
  return async (request) => {
    try {
      return await handle(request);
    } catch (error) {
      return errorAnswer(error);
    }
  };
}
