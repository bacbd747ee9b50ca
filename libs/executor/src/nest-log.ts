import type { LoggerService } from '@nestjs/common';
import type { PluginLog } from '@dynflow/plugin';

/**
 * Nest's own messages in the executor's log; what it says of its modules at each start is for debugging. Nest keeps one logger a
 * process: an application that is made later and brings its own takes these over too.
 */
export function nestLogOver(log: PluginLog): LoggerService {
  const text = (message: unknown): string => (typeof message === 'string' ? message : String(message));
  return {
    log: (message: unknown) => log.debug(text(message)),
    debug: (message: unknown) => log.debug(text(message)),
    verbose: (message: unknown) => log.debug(text(message)),
    warn: (message: unknown) => log.warn(text(message)),
    error: (message: unknown) => log.error(text(message)),
    fatal: (message: unknown) => log.error(text(message)),
  };
}
