import { messageOf } from '@dynflow/kernel';
import type { Log } from '../logging/logger.js';

/** What of Node's `process` is used, so that a test can stand in for it. */
export interface SignalledProcess {
  on(event: string, listener: (value: unknown) => void): unknown;
  off(event: string, listener: (value: unknown) => void): unknown;
  exit(code: number): unknown;
}

export interface StopOnSignalsOptions {
  /** Ends the service: takes no new work, lets what runs end, closes. Called once. */
  stop: (signal: string) => Promise<void>;
  /** How long it may take; then the process exits with 1. More than `stop` allows itself; a minute unless given. */
  limitMs?: number;
  log: Log;
  process?: SignalledProcess;
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Stops the service in good order at SIGTERM or SIGINT and exits with 0; a second signal exits at once, with 130. What nobody
 * caught is logged and exits with 1 at once: after it the state of the process is not known, and the database is the truth.
 *
 * @returns a function that takes the listeners away.
 */
export function stopOnSignals({ stop, limitMs = 60_000, log, process: target = process }: StopOnSignalsOptions): () => void {
  let isStopping = false;
  const onSignal = (signal: string): void => {
    if (isStopping) {
      log.warn('a second signal: stopping at once', { signal });
      target.exit(130);
      return;
    }
    isStopping = true;
    log.info('stopping; a second signal stops at once', { signal, limitMs });
    const limit = setTimeout(() => {
      log.error('stopping took too long; what still ran is cut off', { limitMs });
      target.exit(1);
    }, limitMs);
    stop(signal).then(
      () => {
        clearTimeout(limit);
        log.info('stopped');
        target.exit(0);
      },
      (error: unknown) => {
        clearTimeout(limit);
        log.error(`stopping failed: ${messageOf(error)}`, { err: error });
        target.exit(1);
      },
    );
  };
  const onUncaught = (error: unknown): void => {
    log.fatal(`nobody caught: ${messageOf(error)}`, { err: error });
    target.exit(1);
  };
  const listeners: [string, (value: unknown) => void][] = [
    ...signals.map((signal): [string, () => void] => [signal, () => onSignal(signal)]),
    ['uncaughtException', onUncaught],
    ['unhandledRejection', onUncaught],
  ];
  for (const [event, listener] of listeners) {
    target.on(event, listener);
  }
  return () => {
    for (const [event, listener] of listeners) {
      target.off(event, listener);
    }
  };
}
