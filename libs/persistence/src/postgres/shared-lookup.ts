import { setImmediate } from 'node:timers/promises';

/**
 * Which of some words are there: what is asked in one turn of the event loop is looked up together, so that a thousand askers cost one
 * round trip. A lookup begins after the last of its questions, so that no asker is told of an earlier time than its own.
 */
export class SharedLookup {
  readonly #find: (words: readonly string[]) => Promise<ReadonlySet<string>>;
  #asked = new Set<string>();
  #found: Promise<ReadonlySet<string>> | undefined;

  constructor(find: (words: readonly string[]) => Promise<ReadonlySet<string>>) {
    this.#find = find;
  }

  /** Those of the words that are there. @throws what the lookup throws, to each who asked. */
  async ask(words: readonly string[]): Promise<Set<string>> {
    for (const word of words) {
      this.#asked.add(word);
    }
    this.#found ??= this.#lookUp();
    const found = await this.#found;
    return new Set(words.filter((word) => found.has(word)));
  }

  async #lookUp(): Promise<ReadonlySet<string>> {
    await setImmediate();
    const asked = [...this.#asked];
    this.#asked = new Set();
    this.#found = undefined;
    return this.#find(asked);
  }
}
