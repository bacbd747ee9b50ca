import 'reflect-metadata';
import { Module, type DynamicModule, type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { GatewayRoute, PluginLog } from '@dynflow/plugin';
import type { FastifyInstance } from 'fastify';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { foreignPageRefusal } from './access.js';
import { ErrorFilter, errorResponse } from './error.filter.js';
import { HEALTH, HealthController, type Health } from './health.controller.js';
import { send, type PluginRoutes } from './plugin-routes.js';

@Module({})
class GatewayModule {
  static with(health: Health): DynamicModule {
    return { module: GatewayModule, controllers: [HealthController], providers: [{ provide: HEALTH, useValue: health }] };
  }
}

/** Nest would answer unknown paths and errors itself; here routes of executors and our own error bodies stand in those places. */
class PlainFastifyAdapter extends FastifyAdapter {
  /** `PluginRoutes.mount` sets it. */
  override setNotFoundHandler(): ReturnType<FastifyAdapter['setNotFoundHandler']> {
    return this.instance;
  }

  /** `startHttpServer` sets it. */
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.instance;
  }
}

export interface HttpServerOptions {
  host: string;
  port: number;
  tls: (SecureContextOptions & TlsOptions) | null;
  maxBodyBytes: number;
  health: Health;
  pluginRoutes: PluginRoutes;
  routes: readonly GatewayRoute[];
  log: PluginLog;
  logger: LoggerService;
}

/** A connection that sends its request this slowly is closed; launches of a thousand hosts take a fraction of it. */
const REQUEST_TIMEOUT_MS = 60_000;
/** As long as a request line may be at all. */
const MAX_PARAM_LENGTH = 16_384;

/** Starts the HTTP server: Nest on Fastify, with bodies left as they came, since Foreman's clients do not always say that they send JSON. */
export async function startHttpServer(options: HttpServerOptions): Promise<NestFastifyApplication> {
  const shared = {
    bodyLimit: options.maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle' as const,
    // An id is looked up whatever its length: it is unknown, not refused.
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  };
  const adapter = options.tls === null ? new PlainFastifyAdapter(shared) : new PlainFastifyAdapter({ ...shared, https: options.tls });
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.with(options.health), adapter, {
    bodyParser: false,
    logger: options.logger,
    abortOnError: false,
  });
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  server.addHook('onRequest', (request, reply, done) => {
    const refusal = foreignPageRefusal(request);
    if (refusal === undefined) {
      done();
    } else {
      send(reply, { status: 403, json: { error: refusal, code: 'DYN_FORBIDDEN' } });
    }
  });
  app.useGlobalFilters(new ErrorFilter(options.log));
  await app.init();
  server.setErrorHandler((error, _request, reply) => send(reply, errorResponse(error, options.log)));
  options.pluginRoutes.mount(server, options.routes);
  await app.listen({ host: options.host, port: options.port });
  return app;
}
