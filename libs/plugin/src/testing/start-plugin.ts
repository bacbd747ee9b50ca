import type { z } from 'zod';
import type { DocumentStore } from '../action.js';
import type { Plugin } from '../plugin.js';
import { MemoryDocumentStore } from './memory-document-store.js';
import { silentLog } from './silent-log.js';

/** How the plugin is started for a test. */
export interface PluginStartOptions {
  /** Default: an empty one in memory. */
  store?: DocumentStore;
  /** As an operator writes them; defaults are filled in. */
  settings?: Record<string, unknown>;
  /** Instead of what the plugin's `start` makes; then neither `start` nor `stop` is called. */
  services?: unknown;
}

/** A started plugin. */
export interface StartedPlugin {
  services: unknown;
  store: DocumentStore;
  stop(): Promise<void>;
}

/** Parses the settings and starts the plugin. @throws what either throws. */
export async function startPlugin(plugin: Plugin, options: PluginStartOptions): Promise<StartedPlugin> {
  const { schema } = plugin.settings as { schema: z.ZodType };
  const settings: unknown = schema.parse(options.settings ?? {});
  const store = options.store ?? new MemoryDocumentStore();
  if (options.services !== undefined) {
    return { services: options.services, store, stop: async () => Promise.resolve() };
  }
  const services: unknown = await plugin.start?.({ settings, store, log: silentLog });
  return { services, store, stop: async () => plugin.stop?.(services) };
}
