import type { PluginLog } from '../action.js';

/** A log that says nothing. */
export const silentLog: PluginLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
