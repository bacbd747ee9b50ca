import type { LoggerService } from '@nestjs/common';
import type { Log } from './logger.js';

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Nest's own messages in the process's log: give it to `NestFactory.create(…, { logger })`. */
export class NestLogger implements LoggerService {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.#write('info', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#write('error', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  /** Nest calls it with (message, …more, context), and for errors with (message, stack, context). */
  #write(level: Level, message: unknown, rest: unknown[]): void {
    const texts = rest.filter((one) => typeof one === 'string');
    const stack = texts.find((text) => /\n\s+at /.test(text));
    const context = texts.findLast((text) => text !== stack);
    const more = rest.filter((one) => one !== undefined && one !== context && one !== stack);
    const facts = {
      ...(context === undefined ? {} : { context }),
      ...(message instanceof Error ? { err: message } : stack === undefined ? {} : { err: { stack } }),
      ...(more.length === 0 ? {} : { more }),
    };
    this.#log[level](message instanceof Error ? message.message : typeof message === 'string' ? message : JSON.stringify(message), facts);
  }
}
