/** Ids are derived below this name, so that nobody else's derived ids can be the same. */
const NAMESPACE = 'dynflow_api sub-plans';

/**
 * The UUID (version 5: from a SHA-1) that belongs to these words: always the same for the same ones, another for any other. It is how
 * something that is asked for twice gets the same id both times. Not for secrets.
 */
export function derivedUuid(...words: readonly (string | number)[]): string {
  const [a, b, c, d] = sha1(new TextEncoder().encode(JSON.stringify([NAMESPACE, ...words])));
  const hex = [a, (b & 0xffff_0fff) | 0x5000, (c & 0x3fff_ffff) | 0x8000_0000, d]
    .map((word) => (word >>> 0).toString(16).padStart(8, '0'))
    .join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

type Words = [number, number, number, number, number];

/** FIPS 180. The platform's own is out of reach: what is pure here imports nothing. */
function sha1(message: Uint8Array): Words {
  const padded = new Uint8Array((((message.length + 8) >> 6) + 1) << 6);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(message.length / 0x2000_0000));
  view.setUint32(padded.length - 4, message.length << 3);
  let hash: Words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
  const schedule = new Uint32Array(80);
  for (let block = 0; block < padded.length; block += 64) {
    for (let round = 0; round < 80; round += 1) {
      schedule[round] =
        round < 16
          ? view.getUint32(block + round * 4)
          : rotated(word(schedule, round - 3) ^ word(schedule, round - 8) ^ word(schedule, round - 14) ^ word(schedule, round - 16), 1);
    }
    hash = afterBlock(hash, schedule);
  }
  return hash;
}

function afterBlock(hash: Words, schedule: Uint32Array): Words {
  let [a, b, c, d, e] = hash;
  for (let round = 0; round < 80; round += 1) {
    const next = (rotated(a, 5) + mixed(round, b, c, d) + e + word(schedule, round)) | 0;
    [a, b, c, d, e] = [next, a, rotated(b, 30), c, d];
  }
  return [(hash[0] + a) | 0, (hash[1] + b) | 0, (hash[2] + c) | 0, (hash[3] + d) | 0, (hash[4] + e) | 0];
}

function mixed(round: number, b: number, c: number, d: number): number {
  if (round < 20) {
    return ((b & c) | (~b & d)) + 0x5a82_7999;
  }
  if (round < 40) {
    return (b ^ c ^ d) + 0x6ed9_eba1;
  }
  return round < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1b_bcdc : (b ^ c ^ d) + 0xca62_c1d6;
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function word(schedule: Uint32Array, index: number): number {
  return schedule[index] ?? 0;
}
