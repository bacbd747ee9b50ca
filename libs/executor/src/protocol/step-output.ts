import type { OutputChunkV1 } from '@dynflow/contracts';

/** A chunk and what it weighs on the wire. */
export interface SizedChunk {
  readonly chunk: OutputChunkV1;
  readonly bytes: number;
}

/** What a chunk costs besides its text: keys, numbers, punctuation. */
const ENVELOPE_BYTES = 96;
/** Longer texts are cut. Escaped in the worst way, a piece still fits into one message. */
const PIECE_LENGTH = 64 * 1024;

/**
 * The output of one step that its owner has not confirmed yet, in order.
 *
 * Owns the numbers of the chunks, what was sent, and who waits for room. Does not send.
 * O1: numbers grow by one, from the owner's `nextSeq`. O2: no more than the window is under way. O3: what is dropped was confirmed.
 */
export class StepOutput {
  #chunks: SizedChunk[] = [];
  #sentCount = 0;
  #sentBytes = 0;
  #totalBytes = 0;
  #waiting: { bytes: number; resolve: () => void }[] = [];
  /** When something was last sent or confirmed. */
  movedAtMs = 0;

  constructor(
    private nextSeq: number,
    private readonly windowBytes: number,
  ) {}

  get totalBytes(): number {
    return this.#totalBytes;
  }

  get unsentBytes(): number {
    return this.#totalBytes - this.#sentBytes;
  }

  get hasSent(): boolean {
    return this.#sentCount > 0;
  }

  /** Takes output in; a long text becomes several chunks, never cut inside a character. */
  add(kind: string, text: string, timestampMs: number, id: string | number | undefined): void {
    let from = 0;
    do {
      let end = Math.min(from + PIECE_LENGTH, text.length);
      if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) {
        end -= 1;
      }
      this.#push(kind, from === 0 && end === text.length ? text : text.slice(from, end), timestampMs, id);
      from = end;
    } while (from < text.length);
  }

  /** Resolved when no more than `bytes` are unconfirmed; undefined when that is so already. */
  room(bytes: number): Promise<void> | undefined {
    if (this.#totalBytes <= bytes) {
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, resolve });
    });
  }

  /** What may be sent now; it counts as sent. */
  takeUnsent(nowMs: number): SizedChunk[] {
    const from = this.#sentCount;
    while (this.#sentCount < this.#chunks.length) {
      const next = this.#chunks[this.#sentCount];
      if (next === undefined || (this.#sentBytes > 0 && this.#sentBytes + next.bytes > this.windowBytes)) {
        break;
      }
      this.#sentCount += 1;
      this.#sentBytes += next.bytes;
    }
    this.movedAtMs = nowMs;
    return this.#chunks.slice(from, this.#sentCount);
  }

  /** Everything unconfirmed, sent or not. */
  unconfirmed(): SizedChunk[] {
    return this.#chunks;
  }

  /** The owner has stored all up to and with `seq`. Old and doubled confirmations do nothing. */
  confirm(seq: number, nowMs: number): void {
    const first = this.#chunks[0]?.chunk.seq;
    if (first === undefined || seq < first) {
      return;
    }
    const count = Math.min(seq - first + 1, this.#chunks.length);
    const gone = this.#chunks.splice(0, count);
    for (const [index, { bytes }] of gone.entries()) {
      this.#totalBytes -= bytes;
      if (index < this.#sentCount) {
        this.#sentBytes -= bytes;
      }
    }
    this.#sentCount = Math.max(0, this.#sentCount - count);
    this.movedAtMs = nowMs;
    this.#wake();
  }

  /** What was sent and not confirmed counts as unsent again. */
  rewind(): void {
    this.#sentCount = 0;
    this.#sentBytes = 0;
  }

  #push(kind: string, text: string, timestampMs: number, id: string | number | undefined): void {
    const chunk: OutputChunkV1 = { seq: this.nextSeq, kind, timestampMs, text };
    if (id !== undefined) {
      chunk.id = id;
    }
    this.nextSeq += 1;
    const bytes = Buffer.byteLength(JSON.stringify(text)) + kind.length + (typeof id === 'string' ? id.length : 0) + ENVELOPE_BYTES;
    this.#chunks.push({ chunk, bytes });
    this.#totalBytes += bytes;
  }

  #wake(): void {
    if (this.#waiting.length === 0) {
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((one) => one.bytes < this.#totalBytes);
    for (const one of waiting) {
      if (one.bytes >= this.#totalBytes) {
        one.resolve();
      }
    }
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
