import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { messageOf } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';
import type { FastifyReply } from 'fastify';
import { send } from './plugin-routes.js';

/** Whatever goes wrong before a handler has the request, as JSON: a body too large, a broken request line. Never a stack trace. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(private readonly log: PluginLog) {}

  catch(error: unknown, host: ArgumentsHost): void {
    send(host.switchToHttp().getResponse<FastifyReply>(), errorResponse(error, this.log));
  }
}

/** The answer to an error that no handler has seen. */
export function errorResponse(error: unknown, log: PluginLog): { status: number; json: object } {
  const status = statusOf(error);
  if (status === 413) {
    return { status, json: { error: 'The body is too large (DYNFLOW_MAX_BODY): launch fewer hosts at once.', code: 'DYN_BODY_TOO_LARGE' } };
  }
  if (status < 500) {
    return { status, json: { error: messageOf(error), code: 'DYN_BAD_REQUEST' } };
  }
  log.error('a request failed', { reason: messageOf(error) });
  return { status: 500, json: { error: 'The service failed to answer; its log says why.', code: 'DYN_INTERNAL' } };
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) {
    return error.getStatus();
  }
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
}
