import type { HttpAnswerV1, RouteDeclaration } from '@dynflow/contracts';
import type { Plugin } from '../plugin.js';
import { answerRoute } from '../runners/route-answer.js';
import { startPlugin, type PluginStartOptions } from './start-plugin.js';
import { silentLog } from './silent-log.js';

/** What a route is called with, besides its method and declared path. */
export interface RouteCallOptions extends PluginStartOptions {
  /** Values of the path's `:names`. */
  params?: Record<string, string>;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
  /** CN of a verified client certificate. */
  clientName?: string;
}

/**
 * Calls one of the plugin's routes by its declared path, as a request that came through the gateway would: plugin started and stopped,
 * errors turned into answers.
 */
export async function callRoute(
  plugin: Plugin,
  method: RouteDeclaration['method'],
  path: string,
  options: RouteCallOptions = {},
): Promise<HttpAnswerV1> {
  const { params = {}, query = {}, headers = {}, body = '', clientName = null } = options;
  const started = await startPlugin(plugin, options);
  try {
    const request = { type: 'http', version: 1, method, route: path, params, query, headers, body, clientName } as const;
    return await answerRoute(plugin, request, started.services, silentLog);
  } finally {
    await started.stop();
  }
}
