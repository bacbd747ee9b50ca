import type { Msg, Subscription } from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import { BusUnavailableError, type Delivery, type WorkQueue, type WorkQueueReader } from '../message-bus.js';
import { subjectMatches } from '../subject-match.js';
import { deliveryOf, giveBack, isDelivery, terminate } from './nats-delivery.js';
import type { NatsLink } from './nats-link.js';
import { decodeMessage } from './payload.js';

const NANOS_PER_MS = 1_000_000;
/** The server says when a pull has expired; this much later it has not, and never will. */
const EXPIRY_GRACE_MS = 250;

const REQUEST_TIMEOUT = 408;
const NO_MESSAGES = 404;
const NO_RESPONDERS = 503;

/**
 * A reader of one queue: each `next` is one pull for one message, on a subscription of its own.
 *
 * Its own, because the server delivers to a pull only while someone listens: a pull that was given up takes nothing. The client's
 * ready-made consumers are not used: those that run on take messages ahead, and the one for a single message loses what is under way
 * when it is closed, until the queue's time is over.
 */
export class PullReader implements WorkQueueReader {
  readonly #link: NatsLink;
  readonly #queue: WorkQueue;
  readonly #pulls: Set<Pull>;

  /** `pulls` holds the waiting pulls of all readers of a bus, so that closing it can end them. */
  constructor(link: NatsLink, queue: WorkQueue, pulls: Set<Pull>) {
    this.#link = link;
    this.#queue = queue;
    this.#pulls = pulls;
  }

  async next(options: { expiresMs: number; signal?: AbortSignal }): Promise<Delivery | null> {
    this.#link.assertConnected();
    if (options.signal?.aborted === true) {
      return null;
    }
    const pull = new Pull(this.#link, this.#queue, options.expiresMs);
    const abort = (): void => pull.giveUp();
    this.#pulls.add(pull);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      return await pull.outcome;
    } finally {
      this.#pulls.delete(pull);
      options.signal?.removeEventListener('abort', abort);
    }
  }
}

/** One wait for one message. It outlives a reconnect: the server has forgotten the pull, so it is sent again. */
export class Pull {
  readonly outcome: Promise<Delivery | null>;
  readonly #link: NatsLink;
  readonly #queue: WorkQueue;
  readonly #pullSubject: string;
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  readonly #listener = {
    onReconnect: (): void => this.#pullAgain(),
    onPublishRefused: (subject: string, cause: Error): void => this.#onRefused(subject, cause),
  };
  #subscription: Subscription;
  #isSettled = false;
  #resolve: (delivery: Delivery | null) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(link: NatsLink, queue: WorkQueue, expiresMs: number) {
    this.#link = link;
    this.#queue = queue;
    this.#pullSubject = `$JS.API.CONSUMER.MSG.NEXT.${queue.stream}.${queue.consumer}`;
    this.#endsAt = performance.now() + expiresMs;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = setTimeout(() => this.giveUp(), expiresMs + EXPIRY_GRACE_MS);
    link.listen(this.#listener);
    this.#subscription = this.#pull(expiresMs);
  }

  /** Ends the wait with null. A message that is under way just now is given back. */
  giveUp(): void {
    if (this.#settle()) {
      this.#leave();
      this.#resolve(null);
    }
  }

  #pull(expiresMs: number): Subscription {
    const inbox = this.#link.newInbox();
    const subscription = this.#link.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) {
          this.#fail(`NATS refuses listening on ${inbox}`, error);
        } else if (isDelivery(message.reply) && subjectMatches(this.#queue.filter, message.subject)) {
          this.#onDelivery(message, message.reply, subscription);
        } else if (message.subject === inbox && message.headers !== undefined) {
          this.#onNotice(message.headers.code, message.headers.description, subscription);
        }
      },
    });
    const expires = Math.max(1, Math.ceil(expiresMs * NANOS_PER_MS));
    this.#link.publish(this.#pullSubject, Buffer.from(JSON.stringify({ batch: 1, expires })), { reply: inbox });
    return subscription;
  }

  #pullAgain(): void {
    const remainingMs = this.#endsAt - performance.now();
    if (remainingMs <= 0) {
      this.giveUp();
      return;
    }
    // On a new subject: where only the connection broke, the server may still know the old pull and would deliver to both.
    this.#leave();
    this.#subscription = this.#pull(remainingMs);
  }

  #onDelivery(message: Msg, ackSubject: string, subscription: Subscription): void {
    if (this.#isSettled || subscription !== this.#subscription) {
      giveBack(this.#link, ackSubject);
      return;
    }
    let content: unknown;
    try {
      content = decodeMessage(message.data);
    } catch (error) {
      this.#link.log.error(`removed a message that is not JSON from a work queue: ${messageOf(error)}`, { subject: message.subject });
      terminate(this.#link, ackSubject, 'not JSON');
      this.#pullAgain();
      return;
    }
    this.#settle();
    // Nothing more comes for a pull of one: no need to wait for what is under way.
    subscription.unsubscribe();
    this.#resolve(deliveryOf(this.#link, { subject: message.subject, ackSubject, data: message.data }, content));
  }

  #onNotice(code: number, description: string, subscription: Subscription): void {
    if (subscription !== this.#subscription) {
      return;
    }
    if (code === REQUEST_TIMEOUT || code === NO_MESSAGES) {
      this.giveUp();
    } else if (code === NO_RESPONDERS) {
      this.#fail(`the work queue ${this.#queue.filter} does not exist on the NATS server`);
    } else if (code >= 400) {
      this.#fail(`the work queue ${this.#queue.filter} is away: ${description}`);
    }
  }

  #onRefused(subject: string, cause: Error): void {
    if (subject === this.#pullSubject) {
      this.#fail(`NATS refuses reading the work queue ${this.#queue.filter}`, cause);
    }
  }

  #fail(message: string, cause?: Error): void {
    if (this.#settle()) {
      this.#leave();
      this.#reject(new BusUnavailableError(message, cause));
    }
  }

  #settle(): boolean {
    if (this.#isSettled) {
      return false;
    }
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#link.unlisten(this.#listener);
    return true;
  }

  /** Stops listening, but only after what the server has already sent: that is given back, not lost until its time is over. */
  #leave(): void {
    if (!this.#subscription.isClosed()) {
      this.#subscription.drain().catch(() => undefined);
    }
  }
}
