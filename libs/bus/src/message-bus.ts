import { DynflowError, UnavailableError } from '@dynflow/kernel';
import { SUBJECT_PREFIX, subjects } from '@dynflow/contracts';

/** A durable queue with one reader's view of it: which stream holds it, which subjects it takes, and the reader's durable name. */
export interface WorkQueue {
  readonly stream: string;
  /** Every subject of the stream; given when the stream is made. */
  readonly streamSubjects: readonly string[];
  /** The subjects that this queue's readers get. */
  readonly filter: string;
  /** Readers with the same name share the work. */
  readonly consumer: string;
}

/** The work queues of the protocol. A stream per plugin for tokens (permissions need that), one stream for all inboxes. */
export const workQueues = {
  steps: (plugin: string, queue: string): WorkQueue => ({
    stream: `STEPS_${plugin}`,
    streamSubjects: [`${SUBJECT_PREFIX}.step.${plugin}.*`],
    filter: subjects.step(plugin, queue),
    consumer: queue,
  }),
  inbox: (shard: number): WorkQueue => ({
    stream: 'INBOX',
    streamSubjects: [`${SUBJECT_PREFIX}.inbox.*.*`],
    filter: subjects.inbox(shard, '*'),
    consumer: `shard-${shard}`,
  }),
} as const;

/** One message taken from a work queue. It comes back, to any reader, if it is not settled within the queue's time. */
export interface Delivery {
  readonly subject: string;
  /** Parsed JSON; the receiver parses it with its schema. */
  readonly message: unknown;
  /** 1 at the first delivery; a queue that lost its server's last moments may count too few. */
  readonly deliveries: number;
  /** Done with it for good. Call it after the commit that it led to, never before. */
  ack(): void;
  /** Give it back, for any reader, after a while. */
  retry(delayMs: number): void;
  /** Never again: the message makes no sense. */
  discard(reason: string): void;
}

/** A reader of a work queue. */
export interface WorkQueueReader {
  /**
   * The next message, or null when none came within `expiresMs` (at least 1,000) or when `signal` aborted. One message a call and
   * nothing taken ahead: call it once for each free slot.
   *
   * @throws BusUnavailableError when the queue is away; call it again after a while.
   */
  next(options: { expiresMs: number; signal?: AbortSignal }): Promise<Delivery | null>;
}

/** Handles a message; what it returns is the answer, if one was asked for (undefined is answered as null). */
export type MessageHandler = (message: unknown, meta: { subject: string }) => unknown;

/** A subscription that can be ended. */
export interface BusSubscription {
  unsubscribe(): void;
}

/**
 * What the gateway and the executors talk over. Two adapters pass the same conformance suite: in process, and NATS.
 *
 * Messages are JSON values; what is received is a copy. `publish`, `request` and `subscribe` are at-most-once and keep nothing for
 * anyone who is not there; `enqueue` and `reader` are at-least-once.
 *
 * Only answers may be large. A message of more than about 1 MiB of JSON is refused over NATS with MessageTooLargeError by `publish`,
 * `request` and `enqueue` alike, so whoever sends keeps below.
 */
export interface MessageBus {
  /** Sends to whoever listens now. Returns at once; lost while disconnected. */
  publish(subject: string, message: unknown): void;

  /**
   * Asks one listener and waits for its answer; large answers are carried whole.
   *
   * @throws NoResponderError at once when nobody listens.
   * @throws RequestTimeoutError after `timeoutMs`.
   * @throws BusUnavailableError while disconnected, and when the connection breaks meanwhile: it may have been handled all the same.
   * @throws RemoteError when the handler threw.
   */
  request(subject: string, message: unknown, options: { timeoutMs: number }): Promise<unknown>;

  /** Listens; `*` matches one token of a subject, a trailing `>` the rest. Listeners with the same `queue` share the messages. */
  subscribe(subject: string, handler: MessageHandler, options?: { queue?: string }): BusSubscription;

  /** Makes the queue, or leaves it as it is. Only the gateway does this; it does it again after each reconnect. Idempotent. */
  ensureWorkQueue(queue: WorkQueue): Promise<void>;

  /**
   * Puts a message into a work queue; resolved when the queue has it.
   *
   * @throws BusUnavailableError when no queue takes it or the word did not come; the message may then be there or not.
   */
  enqueue(subject: string, message: unknown): Promise<void>;

  /** A reader of a queue that exists or will. */
  reader(queue: WorkQueue): WorkQueueReader;

  /** Calls back after each reconnect; messages of the time between are gone. Several callbacks may be given. */
  onReconnect(callback: () => void): void;

  /** True while messages can be sent and received. */
  readonly isConnected: boolean;

  /** Delivers what was accepted, then ends. Further calls throw. */
  close(): Promise<void>;
}

/** Nobody listens on the subject of a request. */
export class NoResponderError extends UnavailableError {
  constructor(subject: string) {
    super('DYN_BUS_NO_RESPONDER', `nobody listens on ${subject}`, { context: { subject } });
  }
}

/** No answer came in time. The request may have been handled all the same. */
export class RequestTimeoutError extends UnavailableError {
  constructor(subject: string, timeoutMs: number) {
    super('DYN_BUS_TIMEOUT', `no answer on ${subject} within ${timeoutMs} ms`, { context: { subject, timeoutMs } });
  }
}

/** The bus is not connected, or the queue does not exist (yet). */
export class BusUnavailableError extends UnavailableError {
  constructor(message: string, cause?: unknown) {
    super('DYN_BUS_UNAVAILABLE', message, { cause });
  }
}

/** The handler at the other end threw; the message is its message. */
export class RemoteError extends DynflowError {
  constructor(subject: string, message: string) {
    super('DYN_BUS_REMOTE', message, { context: { subject } });
  }
}
