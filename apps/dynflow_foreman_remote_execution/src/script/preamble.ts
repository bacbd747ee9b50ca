/** How much of what was said before the script started is kept to explain a failure. */
const KEPT_BYTES = 8 * 1024;

/** A report of the remote program. */
export type Mark =
  | { readonly kind: 'begin' }
  | { readonly kind: 'switch' }
  | { readonly kind: 'body' }
  | { readonly kind: 'run' }
  | { readonly kind: 'fail'; readonly reason: string };

/**
 * Reads one stream up to the mark `run`: finds marks and prompts in it, however the pieces are cut, and keeps the rest as explanation.
 * What follows `run` is the script's and handed back untouched.
 */
export class Preamble {
  /** What the host said that was no mark: of the bootstrap's time, not of the login shell's start-up files. */
  text = '';
  isOver = false;
  private pending: Buffer = Buffer.alloc(0);
  private readonly nonce: Buffer;

  constructor(
    nonce: string,
    private readonly onMark: (mark: Mark) => void,
    private readonly onText: (text: string) => void = () => undefined,
  ) {
    this.nonce = Buffer.from(`${nonce}:`);
  }

  /** @returns the bytes after `run`, or `undefined` while it has not come. */
  push(bytes: Buffer): Buffer | undefined {
    this.pending = Buffer.concat([this.pending, bytes]);
    while (!this.isOver) {
      const start = this.pending.indexOf(this.nonce);
      const end = start < 0 ? -1 : this.pending.indexOf(0x0a, start);
      if (end < 0) break;
      this.say(this.pending.subarray(0, start));
      const words = this.pending
        .subarray(start + this.nonce.length, end)
        .toString()
        .trim();
      this.pending = this.pending.subarray(end + 1);
      this.mark(words);
    }
    if (this.isOver) {
      const rest = this.pending;
      this.pending = Buffer.alloc(0);
      return rest;
    }
    // What could be the beginning of a mark is held back; the rest is text.
    const start = this.pending.indexOf(this.nonce);
    const keepFrom = start >= 0 ? start : this.tailThatMayBeginAMark();
    this.say(this.pending.subarray(0, keepFrom));
    this.pending = this.pending.subarray(keepFrom);
    return undefined;
  }

  private tailThatMayBeginAMark(): number {
    const { pending, nonce } = this;
    for (let at = Math.max(0, pending.length - nonce.length + 1); at < pending.length; at += 1) {
      if (nonce.subarray(0, pending.length - at).equals(pending.subarray(at))) return at;
    }
    return pending.length;
  }

  private mark(words: string): void {
    const [word = '', reason = ''] = words.split(' ');
    switch (word) {
      case 'begin':
        this.text = '';
        this.onMark({ kind: 'begin' });
        return;
      case 'run':
        this.isOver = true;
        this.onMark({ kind: 'run' });
        return;
      case 'switch':
      case 'body':
        this.onMark({ kind: word });
        return;
      case 'fail':
        this.onMark({ kind: 'fail', reason });
        return;
      default:
        return;
    }
  }

  private say(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.text = (this.text + bytes.toString()).slice(-KEPT_BYTES);
    this.onText(this.text);
  }
}
