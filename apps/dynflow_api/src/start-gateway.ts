import { messageOf } from '@dynflow/kernel';
import { declarationOf, type GatewayRoute, type Plugin, type PluginLog } from '@dynflow/plugin';
import { InProcessBus, connectNatsBus, type MessageBus } from '@dynflow/bus';
import { Engine } from '@dynflow/engine';
import { startExecutor, type RunningExecutor } from '@dynflow/executor';
import { openDatabase } from '@dynflow/persistence';
import { NestLogger, RandomIds, SystemClock, loadServerTls, type GatewayConfig, type Log } from '@dynflow/platform';
import { builtinPlugin } from './builtin-plugin.js';
import { GatewayBus } from './bus/gateway-bus.js';
import { TokenDispatcher } from './bus/token-dispatcher.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { GatewayService } from './gateway-service.js';
import { PluginRoutes } from './http/plugin-routes.js';
import { startHttpServer } from './http/server.js';
import { LocalHost } from './local/local-host.js';
import { StoredPluginDocuments } from './plugin-documents.js';
import { PluginRegistry } from './registry/plugin-registry.js';
import { Retention } from './retention.js';
import { loadKeyRing } from './secrets/key-ring.js';
import { SecretBox } from './secrets/secret-box.js';
import { shim } from './tmp-shim.js';
import { VERSION } from './version.js';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly plugins: readonly { plugin: Plugin; settings: unknown }[];
  readonly log: Log;
}

/** A gateway at work. */
export interface RunningGateway {
  /** Where it listens: `http://127.0.0.1:8008`. */
  readonly url: string;
  /** Takes no more requests and no more work, lets what runs end (within the drain limit), then closes everything. */
  stop(): Promise<void>;
}

/** A plugin whose actions need an executor: in the fat shape one of ours hosts it. */
const isExecuted = (plugin: Plugin): boolean => (plugin.actions ?? []).length > 0;

/**
 * Starts a gateway: the one place where the engine, the database, the bus, the plugins and the HTTP server are put together.
 *
 * Resolved when requests are served; in the fat shape every executor has announced itself by then.
 *
 * @throws DynflowError (database, secret keys), Error with code EADDRINUSE when the port is taken.
 */
export async function startGateway({ config, plugins, log }: GatewayOptions): Promise<RunningGateway> {
  const closers: (() => Promise<void>)[] = [];
  try {
    return await assemble({ config, plugins, log }, closers);
  } catch (error) {
    await closeAll(closers, log);
    throw error;
  }
}

async function assemble({ config, plugins, log }: GatewayOptions, closers: (() => Promise<void>)[]): Promise<RunningGateway> {
  const clock = new SystemClock();
  const ids = new RandomIds();
  const metrics = new GatewayMetrics();
  const secrets = new SecretBox(loadKeyRing(config.secretKeysFile));
  const database = shim(await openDatabase({ url: config.database.url, log: (message) => log.info(message) }));
  closers.push(() => database.close());
  const bus = await openBus(config, log);
  closers.push(() => bus.close());

  const registry = new PluginRegistry(clock);
  const local = new LocalHost();
  const insideRoutes: ((service: GatewayService) => GatewayRoute[])[] = [];
  for (const { plugin, settings } of [{ plugin: builtinPlugin, settings: {} }, ...plugins]) {
    const pluginLog = log.child(plugin.name);
    if (!isExecuted(plugin)) {
      registry.addLocal(declarationOf(plugin, settings));
      local.add(plugin, settings, { log: pluginLog, ownTls: config.http.tls ?? { cert: null, key: null, ca: null } });
    }
    insideRoutes.push((service) => plugin.gateway?.routes?.(service, settings, pluginLog) ?? []);
  }
  for (const declaration of (await database.manifests.all()) as never[]) {
    registry.addStored(declaration);
  }

  const onFault = (message: string, error: unknown): void => log.error(message, { reason: messageOf(error) });
  const dispatcher = new TokenDispatcher({ bus, clock, slotsOf: (plugin) => registry.slotsOf(plugin), onFault });
  const engine: Engine = new Engine({
    clock,
    ids,
    store: database.plans,
    catalogue: registry,
    local,
    outbox: {
      publishTokens: (tokens) => dispatcher.add(tokens),
      tell: (plugin, executor, message) => gatewayBus.tell(plugin, executor, message),
      perform: (action, name, payload) => local.perform(action, name, payload),
      askPlan: (declaration, input) => gatewayBus.askPlan(declaration, input),
    },
    schedule: (turn) => void setImmediate(turn),
    world: ids.uuid(),
    outputLimitBytes: config.outputLimitBytes,
    onRest: (plan) => metrics.planRested(plan),
    onFault,
  });
  const service = new GatewayService({ version: VERSION, engine, registry, views: database.reader, secrets });
  const pluginRoutes = new PluginRoutes({ rules: { trustedHosts: config.http.trustedHosts }, bus, site: config.executor.site, log });
  const gatewayBus: GatewayBus = new GatewayBus({
    bus,
    clock,
    engine,
    registry,
    dispatcher,
    secrets,
    documents: new StoredPluginDocuments(database.documents),
    keeper: {
      keep: async (declaration) => {
        pluginRoutes.carry(declaration.plugin, declaration.routes);
        await database.manifests.keep(declaration);
      },
    },
    log,
  });
  metrics.watch({
    activePlans: () => engine.activePlans,
    tokenBacklog: () => dispatcher.backlog,
    operations: () => registry.operations(),
  });

  await engine.start();
  await gatewayBus.start();
  closers.push(() => gatewayBus.stop());
  const retention = new Retention({ purge: (olderThanMs, limit) => database.purgeFinished({ olderThanMs, limit }), clock, retentionMs: config.retentionMs, log });
  retention.start();
  closers.push(() => retention.stop());
  closers.push(() => Promise.resolve(local.stop()));

  const executors = config.shape === 'fat' ? await startExecutors({ config, plugins, log }, bus) : [];
  for (const executor of executors) {
    closers.push(() => executor.stop({ limitMs: config.executor.drainLimitMs }));
  }

  const app = await startHttpServer({
    host: config.http.host,
    port: config.http.port,
    tls: config.http.tls === null ? null : await loadServerTls(config.http.tls),
    maxBodyBytes: config.http.maxBodyBytes,
    health: {
      faults: async () => {
        const faults = bus.isConnected ? [] : [{ part: 'bus', reason: 'not connected' }];
        try {
          await database.check();
        } catch (error) {
          faults.push({ part: 'database', reason: messageOf(error) });
        }
        return faults;
      },
      metrics: () => metrics.text(),
    },
    pluginRoutes,
    routes: insideRoutes.flatMap((make) => make(service)),
    log,
    logger: nestLogger(log),
  });
  closers.push(() => app.close());
  const url = await app.getUrl();
  log.info(`dynflow_api ${VERSION} listens on ${url}`, {
    shape: config.shape,
    database: database.name,
    plugins: plugins.map(({ plugin }) => plugin.name),
  });
  return { url, stop: () => closeAll(closers, log) };
}

/** What Nest says of its routes and modules at start is for developers. */
function nestLogger(log: Log): NestLogger {
  return new NestLogger({ ...log, info: (message, facts) => log.debug(message, facts), child: (context) => log.child(context) });
}

/** In reverse order of opening; one that fails does not keep the others open. */
async function closeAll(closers: (() => Promise<void>)[], log: PluginLog): Promise<void> {
  for (const close of closers.splice(0).reverse()) {
    await close().catch((error: unknown) => log.warn('something did not close as it should', { reason: messageOf(error) }));
  }
}

async function openBus(config: GatewayConfig, log: Log): Promise<MessageBus> {
  return config.natsUrl === null
    ? new InProcessBus()
    : connectNatsBus({ url: config.natsUrl, user: 'gateway', name: `dynflow_api ${config.executor.id}`, log });
}

async function startExecutors({ config, plugins, log }: GatewayOptions, bus: MessageBus): Promise<RunningExecutor[]> {
  const executors = await Promise.all(
    plugins
      .filter(({ plugin }) => isExecuted(plugin))
      .map(({ plugin, settings }) =>
        startExecutor({
          plugin,
          settings,
          bus,
          executorId: config.executor.id,
          slots: config.executor.slots,
          site: config.executor.site,
          log: log.child(plugin.name),
        }),
      ),
  );
  await Promise.all(executors.map((executor) => executor.announced));
  return executors;
}
