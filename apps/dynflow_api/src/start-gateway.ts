import { NestLogger, loadServerTls, type Log } from '@dynflow/platform';
import type { GatewayApi } from '@dynflow/plugin';
import { Closers } from './closers.js';
import { startCore, type GatewayOptions } from './gateway-core.js';
import { startHttpServer } from './http/server.js';
import { VERSION } from './version.js';

/** A gateway at work. */
export interface RunningGateway {
  /** Where it listens: `http://127.0.0.1:8008`. */
  readonly url: string;
  /** What its plugins and routes work with, for programs that hold a gateway inside them. */
  readonly api: GatewayApi;
  /** Takes no more requests and no more work, lets what runs end (within the drain limit), then closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway with its HTTP server. Resolved when requests are served; in the fat shape every executor has announced itself by then.
 *
 * @throws DynflowError (database, secret keys), Error with code EADDRINUSE when the port is taken.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, plugins, log } = options;
  const closers = new Closers();
  try {
    const core = await startCore(options);
    closers.add(() => core.stop());
    const app = await startHttpServer({
      host: config.http.host,
      port: config.http.port,
      tls: config.http.tls === null ? null : await loadServerTls(config.http.tls),
      maxBodyBytes: config.http.maxBodyBytes,
      health: { faults: () => core.faults(), holds: () => core.holds(), metrics: () => core.metrics.text() },
      pluginRoutes: core.pluginRoutes,
      routes: core.routes,
      log,
      logger: nestLogger(log),
    });
    closers.add(() => app.close());
    const url = await app.getUrl();
    const facts = { shape: config.shape, database: core.databaseName, plugins: plugins.map(({ plugin }) => plugin.name) };
    log.info(`dynflow_api ${VERSION} listens on ${url}`, facts);
    return { url, api: core.service, stop: () => closers.closeAll(log) };
  } catch (error) {
    await closers.closeAll(log);
    throw error;
  }
}

/** What Nest says of its routes and modules at start is for developers. */
function nestLogger(log: Log): NestLogger {
  return new NestLogger({ ...log, info: (message, facts) => log.debug(message, facts), child: (context) => log.child(context) });
}
