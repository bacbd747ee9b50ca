/**
 * Turns the bytes of one stream into text, piece by piece: a character whose bytes arrive in two pieces is held back until it is whole,
 * and bytes that are no UTF-8 become U+FFFD. One for each stream.
 */
export class Utf8Stream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  write(bytes: Uint8Array): string {
    return this.decoder.decode(bytes, { stream: true });
  }

  /** What is left at the end: U+FFFD for a character that was cut off. */
  end(): string {
    return this.decoder.decode();
  }
}
