/** A line that a host has printed. */
export interface OutputLine {
  readonly type: string;
  readonly text: string;
}

/** Puts lines together from chunks that are cut anywhere; each type of output (`stdout`, `stderr`, `debug`) has lines of its own. */
export class OutputLines {
  readonly #open = new Map<string, string>();

  /** @returns the lines that this chunk completes. */
  add(type: string, text: string): OutputLine[] {
    const lines = `${this.#open.get(type) ?? ''}${text}`.split(/\r?\n/);
    this.#open.set(type, lines.pop() ?? '');
    return lines.map((line) => ({ type, text: line }));
  }

  /** @returns what was left without an end of line. */
  end(): OutputLine[] {
    const rest = [...this.#open].filter(([, text]) => text !== '').map(([type, text]) => ({ type, text }));
    this.#open.clear();
    return rest;
  }
}
