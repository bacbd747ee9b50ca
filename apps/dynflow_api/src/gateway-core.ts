import { messageOf, type JsonObject } from '@dynflow/kernel';
import { InProcessBus, NatsBus, connectNatsBus, workQueues, type MessageBus } from '@dynflow/bus';
import { Engine, type HoldState, type LocalRunner, type Outbox, type RestedPlan } from '@dynflow/engine';
import { startExecutor, type RunningExecutor } from '@dynflow/executor';
import { openDatabase, parseDatabaseUrl } from '@dynflow/persistence';
import { RandomIds, SystemClock, natsLogin, type GatewayConfig, type Log } from '@dynflow/platform';
import { GatewayStacks, declarationOf, type GatewayRoute, type Plugin } from '@dynflow/plugin';
import { builtinPlugin } from './builtin-plugin.js';
import { GatewayBus } from './bus/gateway-bus.js';
import { TokenDispatcher } from './bus/token-dispatcher.js';
import { Closers } from './closers.js';
import { Continuity, markInDatabase, type MarkPlace } from './continuity/continuity.js';
import { holdInDatabase, markInFile, markInStream } from './continuity/mark-places.js';
import { EndingClock } from './ending-clock.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { GatewayService } from './gateway-service.js';
import { PluginRoutes } from './http/plugin-routes.js';
import { HookHost } from './local/hook-host.js';
import { LocalHost } from './local/local-host.js';
import { PhaseHost } from './local/phase-host.js';
import { PlanPresenter } from './local/plan-presenter.js';
import { Ownership } from './ownership.js';
import { StoredPluginDocuments } from './plugin-documents.js';
import { PluginRegistry } from './registry/plugin-registry.js';
import { Retention } from './retention.js';
import { loadKeyRing } from './secrets/key-ring.js';
import { SecretBox } from './secrets/secret-box.js';
import { VERSION } from './version.js';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly plugins: readonly { plugin: Plugin; settings: unknown }[];
  readonly log: Log;
  /** Told of every plan that comes to rest. */
  readonly onRest?: (plan: RestedPlan) => void;
  /** Told when another gateway has taken over the database: the process must end without writing anything more. */
  readonly onDatabaseLost?: () => void;
  /** Stands between the core and each of its ports, which are handed over once, by name: for tests that watch or disturb what goes through. */
  readonly wrapPort?: <Port extends object>(name: string, port: Port) => Port;
}

/** Everything of a gateway but its HTTP server. */
export interface GatewayCore {
  readonly service: GatewayService;
  readonly metrics: GatewayMetrics;
  readonly pluginRoutes: PluginRoutes;
  readonly routes: readonly GatewayRoute[];
  readonly databaseName: string;
  /** What an operator holds, or a quarantine. */
  holds(): HoldState;
  /** Parts that do not work at the moment. */
  faults(): Promise<{ part: string; reason: string }[]>;
  /** Takes no more work, lets what runs end (within the drain limit), then closes everything. */
  stop(): Promise<void>;
}

const asItIs = <Port extends object>(_name: string, port: Port): Port => port;

/** A plugin whose actions need an executor: in the fat shape one of ours hosts it. */
const isExecuted = (plugin: Plugin): boolean => (plugin.actions ?? []).length > 0;

/**
 * Puts engine, database, bus and plugins together; the only place that knows them all.
 *
 * Resolved when plans run; in the fat shape every executor has announced itself by then.
 *
 * @throws DynflowError (database, secret keys)
 */
export async function startCore(options: GatewayOptions): Promise<GatewayCore> {
  const closers = new Closers();
  try {
    return await assemble(options, closers);
  } catch (error) {
    await closers.closeAll(options.log);
    throw error;
  }
}

async function assemble(options: GatewayOptions, closers: Closers): Promise<GatewayCore> {
  const { config, plugins, log, onRest } = options;
  const clock = new EndingClock(new SystemClock());
  closers.add(() => Promise.resolve(clock.end()));
  const ids = new RandomIds();
  const metrics = new GatewayMetrics();
  const secrets = new SecretBox(loadKeyRing(config.secretKeysFile));
  const wrapPort = options.wrapPort ?? asItIs;
  const database = wrapPort(
    'Database',
    await openDatabase({ url: config.database.url, log: (message) => log.info(message), archiveDir: config.archiveDir }),
  );
  closers.add(() => database.close());
  const world = ids.uuid();
  const onLost = options.onDatabaseLost ?? (() => undefined);
  const ownership = new Ownership({ leases: database.shards, owner: world, clock, log, onLost });
  await ownership.acquire();
  closers.add(() => ownership.release());
  const rawBus = await openBus(config, log);
  const bus = wrapPort('MessageBus', rawBus);
  closers.add(() => bus.close());

  const registry = new PluginRegistry(clock);
  const inside = [{ plugin: builtinPlugin, settings: {} as unknown }, ...plugins].filter(({ plugin }) => !isExecuted(plugin));
  const stacks = new GatewayStacks(inside.map(({ plugin }) => plugin));
  const local = new LocalHost(stacks);
  const hooks = new HookHost(stacks, () => service);
  const presenter = new PlanPresenter({ catalogue: registry, stacks, log });
  for (const { plugin, settings } of inside) {
    registry.addLocal(declarationOf(plugin, settings));
    const ownTls = config.http.tls ?? { cert: null, key: null, ca: null };
    local.add(plugin, settings, { log: log.child(plugin.name), ownTls, stopped: local.stopped });
    hooks.add(plugin, log.child(plugin.name));
    presenter.add(plugin);
  }

  for (const declaration of await database.manifests.all()) {
    registry.addStored(declaration);
  }

  const onFault = (message: string, error: unknown): void => log.error(message, { reason: messageOf(error) });
  const continuity = new Continuity({
    inside: markInDatabase(database.documents),
    outside: outsideMark(config, rawBus),
    boundMs: config.quarantineAfterMs ?? Infinity,
    clock,
    ids,
    log,
  });
  const dispatcher = new TokenDispatcher({ bus, clock, slotsOf: (plugin) => registry.slotsOf(plugin), onFault });
  const engine: Engine = new Engine({
    clock,
    ids,
    store: database.plans,
    catalogue: registry,
    local: wrapPort<LocalRunner>('LocalRunner', local),
    outbox: wrapPort<Outbox>('Outbox', {
      publishTokens: (tokens) => dispatcher.add(tokens),
      tell: (plugin, executor, message) => gatewayBus.tell(plugin, executor, message),
      perform: (action, name, payload) => local.perform(action, name, payload),
      askPlan: (declaration, input: JsonObject) => gatewayBus.askPlan(declaration, input),
      askDelay: (declaration, input: JsonObject, schedule) => gatewayBus.askDelay(declaration, input, schedule),
    }),
    schedule: (turn) => void setImmediate(turn),
    world,
    outputLimitBytes: config.outputLimitBytes,
    random: Math.random,
    holds: holdInDatabase(database.documents),
    hooks,
    phases: new PhaseHost(stacks.world, log),
    onRest: (plan) => {
      metrics.planRested(plan);
      onRest?.(plan);
    },
    onFault,
  });
  const pluginRoutes = new PluginRoutes({ rules: { trustedHosts: config.http.trustedHosts }, bus, site: config.executor.site, log, ids });
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
    ownsExecutors: config.shape === 'fat',
    lostAfterMs: config.executorLostAfterMs,
    log,
  });
  const service: GatewayService = new GatewayService({ version: VERSION, engine, registry, database, presenter, secrets });
  metrics.watch({
    activePlans: () => engine.activePlans,
    tokenBacklog: () => dispatcher.backlog,
    operations: () => registry.operations(),
  });

  // First the plans, then the messages about them: a report that came before its plan was loaded would look stale.
  const quarantine = database.isDurable ? await continuity.check() : null;
  const unfinished = await engine.start(quarantine === null ? {} : { holdBecause: `quarantine: ${quarantine}` });
  if (quarantine !== null && unfinished > 0) {
    log.error('QUARANTINE: unfinished plans are held until they are released or halted', { plans: unfinished, reason: quarantine });
  }
  await gatewayBus.start();
  closers.add(() => gatewayBus.stop());
  if (database.isDurable) {
    await continuity.start();
    closers.add(() => continuity.stop());
  }
  closers.add(() => Promise.resolve(local.stop()));
  const retention = new Retention({
    purge: (surplus) => database.purgeFinished(surplus),
    clock,
    retentionMs: config.retentionMs,
    retentionPlans: config.retentionPlans,
    log,
  });
  retention.start();
  closers.add(() => retention.stop());
  for (const executor of config.shape === 'fat' ? await startExecutors(options, bus) : []) {
    const { drainLimitMs } = config.executor;
    closers.add(() => executor.stop(drainLimitMs === null ? {} : { limitMs: drainLimitMs }));
  }

  return {
    service,
    metrics,
    pluginRoutes,
    routes: inside.flatMap(({ plugin, settings }) => plugin.gateway?.routes?.(service, settings, log.child(plugin.name)) ?? []),
    databaseName: database.name,
    holds: () => engine.holds,
    faults: async () => {
      const faults = bus.isConnected ? [] : [{ part: 'bus', reason: 'NATS is not connected' }];
      await database.check().catch((error: unknown) => faults.push({ part: 'database', reason: messageOf(error) }));
      return faults;
    },
    stop: () => closers.closeAll(log),
  };
}

/** Where the mark of continuity lies that does not go back with the database. */
function outsideMark(config: GatewayConfig, bus: MessageBus): MarkPlace | null {
  if (bus instanceof NatsBus) {
    return markInStream(bus, workQueues.inbox(0).stream);
  }
  const location = parseDatabaseUrl(config.database.url);
  return location.kind === 'sqlite-file' ? markInFile(location.file) : null;
}

async function openBus(config: GatewayConfig, log: Log): Promise<MessageBus> {
  return config.nats === null
    ? new InProcessBus()
    : connectNatsBus({ ...natsLogin(config.nats), user: 'gateway', name: `dynflow_api ${config.executor.id}`, log });
}

async function startExecutors({ config, plugins, log }: GatewayOptions, bus: MessageBus): Promise<RunningExecutor[]> {
  const { id, slots, site } = config.executor;
  const executed = plugins.filter(({ plugin }) => isExecuted(plugin));
  const executors = await Promise.all(
    executed.map(({ plugin, settings }) =>
      startExecutor({ plugin, settings, bus, executorId: id, slots, site, log: log.child(plugin.name) }),
    ),
  );
  await Promise.all(executors.map((executor) => executor.announced));
  return executors;
}
