import { destination, pino, type DestinationStream, type Logger as Pino } from 'pino';
import { prettySink, type LineSink } from './pretty.js';
import { redact } from './redaction.js';
import { currentRequestId } from './request-id.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** A log of one part of the service. Facts are redacted: values under names such as `password` never appear. */
export interface Log {
  trace(message: string, facts?: Facts): void;
  debug(message: string, facts?: Facts): void;
  info(message: string, facts?: Facts): void;
  warn(message: string, facts?: Facts): void;
  error(message: string, facts?: Facts): void;
  fatal(message: string, facts?: Facts): void;
  /** A log whose lines name the part that writes them and carry these facts. */
  child(context: string, facts?: Facts): Log;
}

/** What belongs to a message. An error goes under `err`. */
export type Facts = Readonly<Record<string, unknown>>;

export interface LogOptions {
  level: LogLevel;
  /** `auto`: pretty on a terminal, else JSON. */
  format: 'auto' | 'json' | 'pretty';
  /** Facts of every line, such as the name of the program. */
  base?: Facts;
  /** Standard output unless given. */
  sink?: LineSink & { isTTY?: boolean };
}

/** Makes the process's log. Lines are written at once, in order; times are UTC, in ISO 8601. */
export function createLog({ level, format, base = {}, sink }: LogOptions): Log {
  const terminal = sink ?? process.stdout;
  const isTerminal = terminal.isTTY === true;
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  // Written synchronously: what was logged before a crash is what explains it.
  const raw: DestinationStream = (sink as DestinationStream | undefined) ?? destination({ fd: 1, sync: true });
  const stream = isPretty ? (prettySink(raw, isTerminal) as DestinationStream) : raw;
  return wrap(
    pino(
      {
        level,
        base: isPretty ? {} : base,
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        // Errors are plain objects by then.
        serializers: { err: (err: unknown) => err },
        formatters: { level: (label) => ({ level: label }) },
        mixin: () => {
          const requestId = currentRequestId();
          return requestId === undefined ? {} : { requestId };
        },
      },
      stream,
    ),
  );
}

function wrap(logger: Pino): Log {
  const write =
    (level: Exclude<LogLevel, 'silent'>) =>
    (message: string, facts: Facts = {}): void => {
      if (logger.isLevelEnabled(level)) {
        logger[level](redact(facts), redact(message) as string);
      }
    };
  return {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    fatal: write('fatal'),
    child: (context, facts = {}) => wrap(logger.child({ context, ...(redact(facts) as Facts) })),
  };
}
