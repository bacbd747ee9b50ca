import { errors, type Msg, type Subscription } from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import {
  BusUnavailableError,
  NoResponderError,
  RemoteError,
  RequestTimeoutError,
  type BusSubscription,
  type MessageBus,
  type MessageHandler,
  type WorkQueue,
  type WorkQueueReader,
} from '../message-bus.js';
import { sendAnswer, sendFailure } from './answer.js';
import type { NatsLink } from './nats-link.js';
import { decodeMessage, encodeMessage } from './payload.js';
import { PullReader, type Pull } from './pull-reader.js';
import { mayAnswer } from './reply-subject.js';
import { Requester } from './requester.js';
import { WorkQueueAdmin, type WorkQueueOptions } from './work-queue-admin.js';

/** How long a put into a queue waits for the server's word that it is stored. */
const ENQUEUE_TIMEOUT_MS = 5_000;
/** How long closing waits for handlers that still work on an answer. */
const CLOSE_PATIENCE_MS = 5_000;

/**
 * The bus over a NATS server with JetStream: core NATS for publish, request and subscribe, work queues in streams.
 *
 * Made by `connectNatsBus`. It reconnects for ever; nothing is buffered meanwhile. While disconnected `publish` is silently lost, a
 * waiting `next` goes on waiting, and everything else throws BusUnavailableError; what was under way when the connection broke does
 * so at once. A request or enqueue that failed so may have arrived all the same.
 */
export class NatsBus implements MessageBus {
  readonly #link: NatsLink;
  readonly #requester: Requester;
  readonly #admin: WorkQueueAdmin;
  readonly #pulls = new Set<Pull>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #running = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(link: NatsLink, queues: WorkQueueOptions) {
    this.#link = link;
    this.#requester = new Requester(link);
    this.#admin = new WorkQueueAdmin(link, queues);
  }

  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  publish(subject: string, message: unknown): void {
    this.#link.assertOpen();
    if (this.#link.isConnected) {
      this.#link.publish(subject, encodeMessage(message));
    }
  }

  async request(subject: string, message: unknown, options: { timeoutMs: number }): Promise<unknown> {
    const answer = await this.#requester.ask(subject, encodeMessage(message), options.timeoutMs);
    if (answer.kind === 'failure') {
      throw new RemoteError(subject, answer.message);
    }
    return answer.value;
  }

  subscribe(subject: string, handler: MessageHandler, options: { queue?: string } = {}): BusSubscription {
    this.#link.assertOpen();
    const subscription = this.#link.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error === null) {
          this.#onMessage(message, handler);
          return;
        }
        this.#subscriptions.delete(subscription);
        // A refusal is in the log already, as all of them.
        if (!(error instanceof errors.PermissionViolationError)) {
          this.#link.log.error(`the subscription to ${subject} ended: ${error.message}`, { subject });
        }
      },
    });
    this.#subscriptions.add(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        subscription.unsubscribe();
      },
    };
  }

  async ensureWorkQueue(queue: WorkQueue): Promise<void> {
    await this.#admin.ensure(queue);
  }

  /** What is kept beside the messages of a stream; empty if there is no such stream. @throws BusUnavailableError */
  async metadataOf(stream: string): Promise<Record<string, string>> {
    return this.#admin.metadataOf(stream);
  }

  /** Adds to that, in place of earlier entries of these names. @throws BusUnavailableError */
  async setMetadata(stream: string, entries: Record<string, string>): Promise<void> {
    await this.#admin.setMetadata(stream, entries);
  }

  async enqueue(subject: string, message: unknown): Promise<void> {
    const payload = encodeMessage(message);
    let answer: unknown;
    try {
      const received = await this.#requester.ask(subject, payload, ENQUEUE_TIMEOUT_MS);
      answer = received.kind === 'value' ? received.value : undefined;
    } catch (error) {
      if (error instanceof NoResponderError) {
        throw new BusUnavailableError(`no work queue takes ${subject}`, error);
      }
      if (error instanceof RequestTimeoutError) {
        throw new BusUnavailableError(
          `the NATS server did not confirm within ${ENQUEUE_TIMEOUT_MS} ms that it has stored ${subject}`,
          error,
        );
      }
      throw error;
    }
    const refusal = refusalOf(answer);
    if (refusal !== undefined) {
      throw new BusUnavailableError(`the work queue does not take ${subject}: ${refusal}`);
    }
  }

  reader(queue: WorkQueue): WorkQueueReader {
    return new PullReader(this.#link, queue, this.#pulls);
  }

  onReconnect(callback: () => void): void {
    this.#link.listen({ onReconnect: callback });
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    const isConnected = this.#link.isConnected;
    this.#link.markClosed();
    for (const pull of [...this.#pulls]) {
      pull.giveUp();
    }
    if (isConnected) {
      // Without the server there is no one to finish for.
      const broken = new Promise<void>((resolve) => this.#link.listen({ onDisconnect: resolve }));
      await within(CLOSE_PATIENCE_MS, async () => Promise.race([this.#finishAccepted(), broken]));
    }
    this.#requester.close();
    await within(CLOSE_PATIENCE_MS, () => this.#link.end());
    await this.#link.connection.close();
  }

  /** Takes in what is under way to the subscriptions, then waits for the handlers and for what was asked. */
  async #finishAccepted(): Promise<void> {
    const open = [...this.#subscriptions].filter((subscription) => !subscription.isClosed());
    await Promise.allSettled(open.map((subscription) => subscription.drain()));
    await Promise.allSettled([...this.#running, this.#requester.idle()]);
  }

  #onMessage(message: Msg, handler: MessageHandler): void {
    const handled = this.#handle(message, handler)
      .catch((error: unknown) => this.#link.log.error(`a message could not be answered: ${messageOf(error)}`, { subject: message.subject }))
      .finally(() => this.#running.delete(handled));
    this.#running.add(handled);
  }

  async #handle(message: Msg, handler: MessageHandler): Promise<void> {
    const { subject } = message;
    const reply = message.reply === undefined || message.reply === '' ? undefined : message.reply;
    if (reply !== undefined && !mayAnswer(subject, reply)) {
      // The sender wants the answer, sent with our rights, to go where it may not write itself.
      this.#link.log.warn('dropped a message that asks for an answer to a foreign subject', { subject, reply });
      return;
    }
    let value: unknown;
    try {
      value = await handler(decodeMessage(message.data), { subject });
    } catch (error) {
      if (reply === undefined) {
        this.#link.log.error(`the handler of ${subject} failed: ${messageOf(error)}`, { subject });
      } else {
        sendFailure(this.#link, reply, error);
      }
      return;
    }
    if (reply !== undefined) {
      sendAnswer(this.#link, reply, value, this.#link.maxPayload);
    }
  }
}

/** Why the server did not store a message, from its acknowledgement; undefined when it did. */
function refusalOf(acknowledgement: unknown): string | undefined {
  if (typeof acknowledgement !== 'object' || acknowledgement === null) {
    return 'it is not a work queue';
  }
  if ('error' in acknowledgement) {
    const { error } = acknowledgement;
    const text = typeof error === 'object' && error !== null && 'description' in error ? error.description : undefined;
    return typeof text === 'string' ? text : 'the server reports an error';
  }
  return 'stream' in acknowledgement && 'seq' in acknowledgement ? undefined : 'it is not a work queue';
}

async function within(limitMs: number, action: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([action(), limit]);
  clearTimeout(timer);
}
