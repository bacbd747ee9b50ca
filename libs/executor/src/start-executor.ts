import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { Clock, IdSource } from '@dynflow/kernel';
import type { MessageBus } from '@dynflow/bus';
import type { Plugin, PluginLog } from '@dynflow/plugin';
import { BusDocumentStore } from './bus-document-store.js';
import type { ExecutorEnvironment } from './executor-environment.js';
import { ExecutorTransport } from './executor-transport.js';
import { ExecutorModule } from './executor.module.js';
import { nestLogOver } from './nest-log.js';
import { PluginHost } from './plugin-host.js';
import type { Heart } from './protocol/heart.js';
import { randomIds, systemClock } from './system-clock.js';
import { DEFAULT_TUNING, type ExecutorTuning } from './tuning.js';

/** What an executor is started with. */
export interface ExecutorOptions {
  plugin: Plugin;
  /** The plugin's settings, as its schema gave them back. */
  settings: unknown;
  /** Not closed by the executor. */
  bus: MessageBus;
  /** Stays the same over restarts: a letter or digit, `_` or `-`. */
  executorId: string;
  /** How many steps run at once. */
  slots: number;
  site?: string;
  log: PluginLog;
  ids?: IdSource;
  clock?: Clock;
  tuning?: Partial<ExecutorTuning>;
  /** Heartbeats from elsewhere than the executor's own bus and thread. */
  heart?: (environment: ExecutorEnvironment) => Heart;
}

/** An executor at work. */
export interface RunningExecutor {
  /** Resolved when a gateway has accepted the plugin for the first time. */
  readonly announced: Promise<void>;
  /**
   * Takes no more work, waits for what runs, then ends. With a limit (milliseconds) the runs are told to end by force after it; those
   * that still go on are reported as of unknown outcome. Called again with a limit it hurries.
   */
  stop(options?: { limitMs?: number }): Promise<void>;
}

/**
 * Hosts a plugin in a Nest microservice over a bus: in a process of its own, or inside the gateway with the in-process bus.
 *
 * Resolved when it listens. The plugin's start-up check and the announcement go on after that; a plugin that cannot work is announced
 * as broken with its reason, and checked again now and then.
 */
export async function startExecutor(options: ExecutorOptions): Promise<RunningExecutor> {
  const ids = options.ids ?? randomIds;
  const environment: ExecutorEnvironment = {
    bus: options.bus,
    plugin: options.plugin.name,
    executorId: options.executorId,
    startId: ids.uuid(),
    site: options.site ?? 'default',
    slots: options.slots,
    log: options.log,
    ids,
    clock: options.clock ?? systemClock,
    tuning: { ...DEFAULT_TUNING, ...options.tuning },
  };
  const store = new BusDocumentStore(environment);
  const host = new PluginHost(options.plugin, options.settings, store, options.log);
  const transport = new ExecutorTransport(environment, host, store, options.heart?.(environment));
  const app = await NestFactory.createMicroservice(ExecutorModule.forPlugin(host), {
    strategy: transport,
    abortOnError: false,
    logger: nestLogOver(options.log),
  });
  await app.listen();
  let stopping: Promise<void> | undefined;
  return {
    announced: transport.announced,
    stop: async (limits = {}) => {
      const drained = transport.drain(limits);
      stopping ??= drained.then(async () => app.close());
      return stopping;
    },
  };
}
