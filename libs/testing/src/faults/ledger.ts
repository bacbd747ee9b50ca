import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * A list of what has happened, outside the system that is tested: one JSON value a line in a file. What was added is on the disk when
 * {@link add} returns, whatever becomes of the process.
 */
export class Ledger<Entry> {
  readonly #file: string;
  #descriptor: number | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  add(entry: Entry): void {
    this.#descriptor ??= openSync(this.#file, 'a');
    writeSync(this.#descriptor, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#descriptor);
  }

  /** Everything that was ever added, by whomever. */
  entries(): Entry[] {
    const text = existsSync(this.#file) ? readFileSync(this.#file, 'utf8') : '';
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry);
  }

  close(): void {
    if (this.#descriptor !== undefined) {
      closeSync(this.#descriptor);
      this.#descriptor = undefined;
    }
  }
}
