import { stripVTControlCharacters } from 'node:util';

/** Where the screen writes: standard output, or a test's list. */
export interface ScreenTarget {
  write(text: string): unknown;
  readonly columns?: number;
}

export interface ScreenOptions {
  readonly target: ScreenTarget;
  /** Whether one line can be rewritten; else only whole lines come out. */
  readonly isTerminal: boolean;
  readonly hasColours: boolean;
  /** Whether the terminal's character set has more than ASCII. */
  readonly hasUnicode: boolean;
}

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan';

const codes: Readonly<Record<Colour, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
};

const redrawEveryMs = 100;
/** A step that takes longer than this gets a line now and then where no line can be rewritten. */
const plainEveryMs = 10_000;
const fallbackColumns = 80;

interface Glyphs {
  readonly done: string;
  readonly failed: string;
  readonly going: string;
  readonly bar: string;
  readonly full: string;
  readonly empty: string;
}

const unicode: Glyphs = { done: '✔', failed: '✘', going: '…', bar: '│', full: '█', empty: '░' };
const ascii: Glyphs = { done: '*', failed: 'x', going: '.', bar: '|', full: '#', empty: '.' };
const eraseLine = '\r\x1b[K';

/** Writes lines, above one status line that is rewritten in place if the output is a terminal. */
export class Screen {
  readonly glyphs: Glyphs;
  readonly #options: ScreenOptions;
  #status: (() => string) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.glyphs = options.hasUnicode ? unicode : ascii;
  }

  get isTerminal(): boolean {
    return this.#options.isTerminal;
  }

  get columns(): number {
    return this.#options.target.columns || fallbackColumns;
  }

  paint(text: string, ...colours: readonly Colour[]): string {
    if (!this.#options.hasColours) return text;
    return colours.reduce((painted, colour) => `\x1b[${codes[colour][0]}m${painted}\x1b[${codes[colour][1]}m`, text);
  }

  /** Writes a line of its own, above the status line. */
  line(text = ''): void {
    this.#write(this.#status === undefined ? `${text}\n` : `${eraseLine}${text}\n${this.#statusText()}`);
  }

  /** Keeps a status line at the bottom of a terminal, asked for again and again, until `clearStatus`. Elsewhere it does nothing. */
  showStatus(describe: () => string): void {
    this.clearStatus();
    if (!this.isTerminal) return;
    this.#status = describe;
    this.#timer = setInterval(() => this.#draw(), redrawEveryMs);
    this.#draw();
  }

  clearStatus(): void {
    clearInterval(this.#timer);
    if (this.#status !== undefined) this.#write(eraseLine);
    this.#status = undefined;
  }

  /** Shows that something is being done, then a line with what `work` says of its outcome, or that it failed. */
  async step<T>(title: string, work: () => Promise<readonly [value: T, outcome: string]>): Promise<T> {
    const startedAt = Date.now();
    const seconds = (): string => `${Math.round((Date.now() - startedAt) / 1000)} s`;
    this.showStatus(() => `  ${this.paint(this.glyphs.going, 'dim')} ${title} ${seconds()}`);
    const reminder = this.isTerminal ? undefined : setInterval(() => this.line(`  ${title}: ${seconds()}`), plainEveryMs);
    try {
      const [value, outcome] = await work();
      this.clearStatus();
      this.line(`  ${this.paint(this.glyphs.done, 'green')} ${this.paint(title.padEnd(17), 'bold')} ${outcome}`);
      return value;
    } catch (error) {
      this.clearStatus();
      this.line(`  ${this.paint(this.glyphs.failed, 'red')} ${this.paint(title, 'bold')}`);
      throw error;
    } finally {
      clearInterval(reminder);
    }
  }

  #draw(): void {
    this.#write(`${eraseLine}${this.#statusText()}`);
  }

  #statusText(): string {
    return cut(this.#status?.() ?? '', this.columns - 1);
  }

  #write(text: string): void {
    this.#options.target.write(text);
  }
}

/** Cuts painted text to a width; paint is dropped where there is something to cut. */
function cut(text: string, width: number): string {
  const plain = stripVTControlCharacters(text);
  return plain.length <= width ? text : plain.slice(0, width);
}
