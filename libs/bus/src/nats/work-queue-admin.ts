import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  jetstreamManager,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import { BusUnavailableError, type WorkQueue } from '../message-bus.js';
import type { NatsLink } from './nats-link.js';

/** How the queues are kept; the same for all queues of a bus. */
export interface WorkQueueOptions {
  /** `file` survives a restart of the server; `memory` is for tests. */
  readonly storage: 'file' | 'memory';
  /** A message that is not settled within this time goes to another reader. */
  readonly ackWaitMs: number;
}

const STREAM_NOT_FOUND = 10059;
const STREAM_HAS_OTHER_CONFIG = 10058;
const CONSUMER_HAS_OTHER_CONFIG = 10148;

/** Each waiting `next` of each reader counts; the server's default of 512 would starve a large installation without an error. */
const MAX_WAITING = 4_096;
/** Messages taken and not settled, delayed retries among them; at the limit the queue stands still. */
const MAX_ACK_PENDING = 65_536;
/** A message that nobody takes, such as an outcome for a shard that does not exist, must not fill the disk for ever. */
const MAX_AGE_MS = 7 * 24 * 60 * 60 * 1_000;

/** Makes streams and consumers. */
export class WorkQueueAdmin {
  readonly #link: NatsLink;
  readonly #options: WorkQueueOptions;
  #manager: JetStreamManager | undefined;

  constructor(link: NatsLink, options: WorkQueueOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** @throws BusUnavailableError when the server cannot or will not. */
  async ensure(queue: WorkQueue): Promise<void> {
    this.#link.assertConnected();
    try {
      // Unchecked: the check would cost a right and say less than the calls themselves.
      const manager = (this.#manager ??= await jetstreamManager(this.#link.connection, { checkAPI: false }));
      await this.#ensureStream(manager, queue);
      await this.#ensureConsumer(manager, queue);
    } catch (error) {
      throw error instanceof BusUnavailableError
        ? error
        : new BusUnavailableError(`the work queue ${queue.filter} could not be made: ${messageOf(error)}`, error);
    }
  }

  /** What is kept beside a stream's messages; empty if there is no such stream. @throws BusUnavailableError */
  async metadataOf(stream: string): Promise<Record<string, string>> {
    return this.#managed(`the metadata of ${stream} could not be read`, async (manager) => {
      try {
        return (await manager.streams.info(stream)).config.metadata ?? {};
      } catch (error) {
        if (apiCodeOf(error) === STREAM_NOT_FOUND) {
          return {};
        }
        throw error;
      }
    });
  }

  /** Adds to what is kept beside a stream's messages, in place of earlier entries of these names. @throws BusUnavailableError */
  async setMetadata(stream: string, entries: Record<string, string>): Promise<void> {
    await this.#managed(`the metadata of ${stream} could not be written`, async (manager) => {
      const { config } = await manager.streams.info(stream);
      await manager.streams.update(stream, { ...config, metadata: { ...config.metadata, ...entries } });
    });
  }

  async #managed<T>(fault: string, work: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    this.#link.assertConnected();
    try {
      return await work((this.#manager ??= await jetstreamManager(this.#link.connection, { checkAPI: false })));
    } catch (error) {
      throw error instanceof BusUnavailableError ? error : new BusUnavailableError(`${fault}: ${messageOf(error)}`, error);
    }
  }

  async #ensureStream(manager: JetStreamManager, queue: WorkQueue): Promise<void> {
    const subjects = [...queue.streamSubjects];
    try {
      await manager.streams.add({
        name: queue.stream,
        subjects,
        retention: RetentionPolicy.Workqueue,
        storage: this.#options.storage === 'file' ? StorageType.File : StorageType.Memory,
        max_age: nanos(MAX_AGE_MS),
      });
    } catch (error) {
      if (apiCodeOf(error) !== STREAM_HAS_OTHER_CONFIG) {
        throw error;
      }
      // An operator may have given it replicas or limits: that stays, as long as it still is the queue we need.
      const { config } = await manager.streams.info(queue.stream);
      if (config.retention !== RetentionPolicy.Workqueue || subjects.some((subject) => !config.subjects.includes(subject))) {
        throw new BusUnavailableError(
          `the stream ${queue.stream} on the NATS server is not ours: expected work queue retention and the subjects ${subjects.join(', ')}`,
          error,
        );
      }
    }
  }

  async #ensureConsumer(manager: JetStreamManager, queue: WorkQueue): Promise<void> {
    const adjustable = {
      filter_subject: queue.filter,
      ack_wait: nanos(this.#options.ackWaitMs),
      max_ack_pending: MAX_ACK_PENDING,
    };
    try {
      await manager.consumers.add(queue.stream, {
        ...adjustable,
        durable_name: queue.consumer,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        max_waiting: MAX_WAITING,
      });
    } catch (error) {
      if (apiCodeOf(error) !== CONSUMER_HAS_OTHER_CONFIG) {
        throw error;
      }
      // Made by another release, or with another time: its messages stay, its settings become ours.
      await manager.consumers.update(queue.stream, queue.consumer, adjustable);
    }
  }
}

function apiCodeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}
