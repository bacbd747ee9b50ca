import { createHash } from 'node:crypto';

/** A UUID is derived below this one, so that nobody else's derived ids can be the same. */
const NAMESPACE = Buffer.from('8d1f2b1c5a0e4f7b9a356c7d1e2f3a4b', 'hex');

/**
 * The UUID (version 5) that belongs to these words: always the same for the same ones, another for any other. It is how something that is
 * asked for twice gets the same id both times.
 */
export function derivedUuid(...words: readonly (string | number)[]): string {
  const hash = createHash('sha1').update(NAMESPACE).update(JSON.stringify(words)).digest().subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
