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
  /** How long it may take; then the process exits with 1. More than `stop` allows itself; a minute unless given, null for no limit. */
  limitMs?: number | null;
  /** Called at a second signal: `stop` is to come to its end at once, in good order. Without it the second signal exits. */
  hurry?: () => void;
  log: Log;
  process?: SignalledProcess;
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Stops the service in good order at SIGTERM or SIGINT and exits with 0; a second signal hurries it, or exits at once, with 130, where
 * nothing can be hurried; a third always exits. What nobody
 * caught is logged and exits with 1 at once: after it the state of the process is not known, and the database is the truth.
 *
 * @returns a function that takes the listeners away.
 */
export function stopOnSignals({ stop, hurry, limitMs = 60_000, log, process: target = process }: StopOnSignalsOptions): () => void {
  let isStopping = false;
  let isHurried = hurry === undefined;
  const onSignal = (signal: string): void => {
    if (isStopping && !isHurried) {
      isHurried = true;
      log.warn('a second signal: what still runs is ended; a third one stops at once', { signal });
      hurry?.();
      return;
    }
    if (isStopping) {
      log.warn('a second signal: stopping at once', { signal });
      target.exit(130);
      return;
    }
    isStopping = true;
    log.info(hurry === undefined ? 'stopping; a second signal stops at once' : 'draining; a second signal ends what still runs', {
      signal,
      limitMs,
    });
    const onLimit = (): void => {
      log.error('stopping took too long; what still ran is cut off', { limitMs });
      target.exit(1);
    };
    const limit = limitMs === null ? undefined : setTimeout(onLimit, limitMs);
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
