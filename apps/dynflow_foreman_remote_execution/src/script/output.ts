import type { Readable } from 'node:stream';

export type OutputType = 'stdout' | 'stderr' | 'debug';

/** Takes one piece of output. While a returned promise is pending no more is taken from the host, and the host must wait. */
export type WriteOutput = (type: OutputType, text: string) => void | Promise<void>;

/** No piece handed on is larger, so that a message on the bus can hold it. */
const PIECE_BYTES = 64 * 1024;

/** Hands pieces on one at a time, in the order they came; after a failure of the sink nothing more is handed on. */
export class OutputQueue {
  private last: Promise<void> = Promise.resolve();
  private failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly sink: WriteOutput,
    private readonly onFailure: () => void,
  ) {}

  write(type: OutputType, text: string): Promise<void> {
    if (text === '') return this.last;
    this.last = this.last.then(async () => {
      if (this.failure !== undefined) return;
      try {
        await this.sink(type, text);
      } catch (error) {
        this.failure = { error };
        this.onFailure();
      }
    });
    return this.last;
  }

  /** Waits for what was written; throws what the sink threw. */
  async flush(): Promise<void> {
    await this.last;
    if (this.failure !== undefined) throw this.failure.error;
  }
}

/**
 * Reads a stream to its end or until `giveUp` fires, one piece after another: the next piece is read when `take` has settled.
 * Unlike `for await` it leaves the stream alone when it stops early.
 */
export async function readAll(stream: Readable, take: (bytes: Buffer) => Promise<void>, giveUp: AbortSignal): Promise<void> {
  let wake: () => void = () => undefined;
  let isOver = false;
  const more = (): void => wake();
  const over = (): void => {
    isOver = true;
    wake();
  };
  stream.on('readable', more).once('end', over).once('error', over).once('close', over);
  giveUp.addEventListener('abort', more);
  try {
    while (!giveUp.aborted) {
      const chunk = stream.read() as Buffer | null;
      if (chunk === null) {
        if (isOver || stream.readableEnded) return;
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) await take(chunk.subarray(at, at + PIECE_BYTES));
    }
  } finally {
    stream.off('readable', more).off('end', over).off('error', over).off('close', over);
    // A later error of an abandoned stream must not end the process.
    stream.on('error', () => undefined);
    giveUp.removeEventListener('abort', more);
  }
}
