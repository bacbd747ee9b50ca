import { errors, type MsgHdrs, type NatsConnection, type Subscription, type SubscriptionOptions } from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import { randomUUID } from 'node:crypto';
import { BusUnavailableError } from '../message-bus.js';
import type { BusLog } from './bus-log.js';
import { MessageTooLargeError } from './payload.js';
import { inboxPrefixOf } from './reply-subject.js';

interface LinkListener {
  onDisconnect?(): void;
  onReconnect?(): void;
  /** The server refused to publish to this subject. */
  onPublishRefused?(subject: string, error: Error): void;
}

/**
 * One connection with its state.
 *
 * Owns: what is known about the connection, and the log of what the server refuses. The client's own calls return as if all were well
 * when a publish is refused or the connection is down, so everything that waits for an answer listens here.
 */
export class NatsLink {
  readonly connection: NatsConnection;
  readonly log: BusLog;
  readonly #inboxPrefix: string;
  readonly #listeners = new Set<LinkListener>();
  #isConnected = true;
  #isClosed = false;

  constructor(connection: NatsConnection, user: string, log: BusLog) {
    this.connection = connection;
    this.log = log;
    this.#inboxPrefix = inboxPrefixOf(user);
    void this.#watch();
  }

  get isConnected(): boolean {
    return this.#isConnected && !this.#isClosed;
  }

  get maxPayload(): number {
    return this.connection.info?.max_payload ?? 1_048_576;
  }

  /** A subject of one's own that nobody can guess. */
  newInbox(): string {
    return `${this.#inboxPrefix}.${randomUUID()}`;
  }

  listen(listener: LinkListener): void {
    this.#listeners.add(listener);
  }

  unlisten(listener: LinkListener): void {
    this.#listeners.delete(listener);
  }

  /** @throws MessageTooLargeError; a refusal by the server is told to the listeners. */
  publish(subject: string, payload: Uint8Array, options: { reply?: string; headers?: MsgHdrs } = {}): void {
    if (payload.length > this.maxPayload) {
      throw new MessageTooLargeError(subject, payload.length, this.maxPayload);
    }
    this.connection.publish(subject, payload, options);
  }

  subscribe(subject: string, options: SubscriptionOptions): Subscription {
    return this.connection.subscribe(subject, options);
  }

  /** @throws BusUnavailableError after close and during an outage, when whatever is sent is lost. */
  assertConnected(): void {
    this.assertOpen();
    if (!this.#isConnected) {
      throw new BusUnavailableError('NATS is not connected');
    }
  }

  /** @throws BusUnavailableError after close. */
  assertOpen(): void {
    if (this.#isClosed) {
      throw new BusUnavailableError('the bus is closed');
    }
  }

  /** From now on no call is taken; the connection itself stays until `end`. */
  markClosed(): void {
    this.#isClosed = true;
  }

  async end(): Promise<void> {
    // Draining waits for the server, so it would wait for ever while there is none.
    await (this.#isConnected ? this.connection.drain() : this.connection.close()).catch(() => this.connection.close());
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      switch (status.type) {
        case 'disconnect':
          if (this.#isConnected) {
            this.#isConnected = false;
            this.#report('NATS is away; trying again until it is back');
            this.#tell((listener) => listener.onDisconnect?.());
          }
          break;
        case 'reconnect':
          this.#isConnected = true;
          this.log.info('NATS is back', { server: status.server });
          this.#tell((listener) => listener.onReconnect?.());
          break;
        case 'error':
          this.#onServerError(status.error);
          break;
        case 'ldm':
          this.log.info('the NATS server is about to stop', { server: status.server });
          break;
        case 'reconnecting':
        case 'forceReconnect':
        case 'staleConnection':
        case 'ping':
        case 'update':
        case 'slowConsumer':
        case 'close':
          break;
      }
    }
    this.#isConnected = false;
    this.#report('the connection to NATS is closed');
    this.#tell((listener) => listener.onDisconnect?.());
  }

  #report(message: string): void {
    if (!this.#isClosed) {
      this.log.warn(message);
    }
  }

  #onServerError(error: Error): void {
    if (error instanceof errors.PermissionViolationError) {
      const { operation, subject } = error;
      this.log.error(
        `NATS refuses ${operation === 'publish' ? 'publishing to' : 'listening on'} ${subject}: check the user's permissions`,
        {
          operation,
          subject,
        },
      );
      if (operation === 'publish') {
        this.#tell((listener) => listener.onPublishRefused?.(subject, error));
      }
      return;
    }
    this.log.error(`NATS: ${error.message}`);
  }

  #tell(call: (listener: LinkListener) => void): void {
    for (const listener of [...this.#listeners]) {
      try {
        call(listener);
      } catch (error) {
        this.log.error(`a listener for the state of NATS failed: ${messageOf(error)}`);
      }
    }
  }
}
