import type { JsonObject } from '@dynflow/kernel';
import { BusUnavailableError, NoResponderError } from '@dynflow/bus';
import { StoreAnswerV1, subjects, type StoreRequestV1 } from '@dynflow/contracts';
import type { DocumentStore } from '@dynflow/plugin';
import type { ExecutorEnvironment } from './executor-environment.js';

/**
 * The plugin's documents, asked of a gateway. While none is there it waits for one.
 *
 * @throws UnavailableError when none came in time, or when an answer got lost: then it is not known whether a change was made.
 */
export class BusDocumentStore implements DocumentStore {
  constructor(private readonly environment: ExecutorEnvironment) {}

  async get(collection: string, key: string): Promise<{ document: JsonObject; revision: number } | null> {
    const [found] = (await this.#ask({ type: 'store', version: 1, op: 'get', collection, key })).documents;
    return found === undefined ? null : { document: found.document, revision: found.revision };
  }

  async put(
    collection: string,
    key: string,
    document: JsonObject,
    options: { index?: string; ifRevision?: number } = {},
  ): Promise<boolean> {
    return (await this.#ask({ type: 'store', version: 1, op: 'put', collection, key, document, ...options })).ok;
  }

  async delete(collection: string, key: string): Promise<void> {
    await this.#ask({ type: 'store', version: 1, op: 'delete', collection, key });
  }

  async find(collection: string, index: string): Promise<{ key: string; document: JsonObject; revision: number }[]> {
    return (await this.#ask({ type: 'store', version: 1, op: 'find', collection, index })).documents;
  }

  async #ask(request: StoreRequestV1): Promise<StoreAnswerV1> {
    const { bus, plugin, clock, tuning } = this.environment;
    const untilMs = clock.now() + tuning.storeTimeoutMs;
    for (let pauseMs = tuning.awayFirstMs; ; pauseMs = Math.min(pauseMs * 2, tuning.awayMaxMs)) {
      try {
        return StoreAnswerV1.parse(await bus.request(subjects.store(plugin), request, { timeoutMs: tuning.requestTimeoutMs }));
      } catch (error) {
        // Only these two say for certain that nobody has seen the request.
        const isUnseen = error instanceof NoResponderError || error instanceof BusUnavailableError;
        if (!isUnseen || clock.now() + pauseMs > untilMs) {
          throw error;
        }
        await new Promise<void>((resolve) => {
          clock.at(clock.now() + pauseMs, resolve);
        });
      }
    }
  }
}
