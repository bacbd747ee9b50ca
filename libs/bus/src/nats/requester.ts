import type { Msg, Subscription } from '@nats-io/transport-node';
import { randomUUID } from 'node:crypto';
import { BusUnavailableError, NoResponderError, RequestTimeoutError } from '../message-bus.js';
import { AnswerAssembler, type Answer } from './answer.js';
import type { NatsLink } from './nats-link.js';

interface Pending {
  readonly subject: string;
  readonly assembler: AnswerAssembler;
  readonly timer: NodeJS.Timeout;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const NO_RESPONDERS = 503;

/**
 * Asks and waits for answers, all of them on one subscription.
 *
 * The client's own request function takes one message as the answer and waits in vain when the connection breaks or the publish is
 * refused; this one puts parts together and fails as soon as it is known that no answer will come.
 */
export class Requester {
  readonly #link: NatsLink;
  readonly #inbox: string;
  readonly #pending = new Map<string, Pending>();
  #subscription: Subscription | undefined;
  #idle: (() => void) | undefined;

  constructor(link: NatsLink) {
    this.#link = link;
    this.#inbox = link.newInbox();
    this.#listen();
    link.listen({
      onDisconnect: () => this.#failAll(() => true, 'the connection to NATS broke before an answer came'),
      onReconnect: () => this.#listen(),
      onPublishRefused: (subject, cause) =>
        this.#failAll((pending) => pending.subject === subject, `NATS refuses publishing to ${subject}`, cause),
    });
  }

  /**
   * @throws NoResponderError, RequestTimeoutError, BusUnavailableError, MessageTooLargeError.
   */
  async ask(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Answer> {
    this.#link.assertConnected();
    if (this.#subscription === undefined) {
      throw new BusUnavailableError(`NATS refuses listening on ${this.#inbox}.*, where answers arrive: is the user's name its plugin's?`);
    }
    // Random, because whoever answers one request learns its reply subject and must not be able to guess another's.
    const token = randomUUID();
    this.#link.publish(subject, payload, { reply: `${this.#inbox}.${token}` });
    return new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => this.#take(token)?.reject(new RequestTimeoutError(subject, timeoutMs)), timeoutMs);
      this.#pending.set(token, { subject, assembler: new AnswerAssembler(), timer, resolve, reject });
    });
  }

  /** Resolved when nothing is being asked. */
  async idle(): Promise<void> {
    if (this.#pending.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
  }

  /** Ends what is still being asked. */
  close(): void {
    this.#failAll(() => true, 'the bus is closed');
  }

  #listen(): void {
    if (this.#subscription?.isClosed() === false) {
      return;
    }
    this.#subscription = this.#link.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) {
          this.#subscription = undefined;
          this.#failAll(() => true, `NATS refuses listening on ${this.#inbox}.*, where answers arrive`, error);
          return;
        }
        this.#onMessage(message);
      },
    });
  }

  #onMessage(message: Msg): void {
    // A subject other than ours comes from the server, when someone had a queue's message sent here: no answer of anyone.
    const token = message.subject.startsWith(this.#inbox) ? message.subject.slice(this.#inbox.length + 1) : '';
    const pending = this.#pending.get(token);
    if (pending === undefined) {
      return;
    }
    if (message.headers?.code === NO_RESPONDERS && message.data.length === 0) {
      this.#take(token)?.reject(new NoResponderError(pending.subject));
      return;
    }
    const answer = pending.assembler.add(message);
    if (answer !== undefined) {
      this.#take(token)?.resolve(answer);
    }
  }

  #take(token: string): Pending | undefined {
    const pending = this.#pending.get(token);
    if (pending !== undefined) {
      clearTimeout(pending.timer);
      this.#pending.delete(token);
      if (this.#pending.size === 0) {
        this.#idle?.();
      }
    }
    return pending;
  }

  #failAll(isMeant: (pending: Pending) => boolean, message: string, cause?: Error): void {
    for (const [token, pending] of [...this.#pending]) {
      if (isMeant(pending)) {
        this.#take(token)?.reject(new BusUnavailableError(message, cause));
      }
    }
  }
}
