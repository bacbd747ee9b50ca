import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DynflowError, messageOf } from '@dynflow/kernel';
import { z } from 'zod';

const KeyRingFile = z.object({
  /** JSON Web Keys (RFC 7517) of 256 bits for AES-GCM; the first one seals, all open. */
  keys: z.array(z.object({ kty: z.literal('oct'), kid: z.string().min(1), k: z.string().min(43) })).min(1),
});

/** One key of the ring. */
export interface RingKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** Thrown at start when the file with the secret keys cannot be used. */
export class KeyRingError extends DynflowError {
  constructor(file: string, problem: string, cause?: unknown) {
    super(
      'DYN_SECRET_KEYS',
      `DYNFLOW_SECRET_KEYS_FILE ${file}: ${problem}. Expected JSON {"keys":[{"kty":"oct","kid":"<name>","k":"<32 bytes in base64url>"}]}.`,
      { cause },
    );
  }
}

/**
 * The keys that secrets are sealed with. Without a file they live as long as the process, like everything in a database in memory. A
 * file that is named and not there is made, readable by its owner only.
 *
 * @throws KeyRingError
 */
export function loadKeyRing(file: string | null): RingKey[] {
  if (file === null) {
    return [newKey()];
  }
  if (!existsSync(file)) {
    const key = newKey();
    const jwk = { kty: 'oct', kid: key.id, k: Buffer.from(key.bytes).toString('base64url') };
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      writeFileSync(file, `${JSON.stringify({ keys: [jwk] }, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
      return [key];
    } catch (error) {
      // Of two gateways that start at once, one makes the file and the other reads it.
      if (!existsSync(file)) {
        throw new KeyRingError(file, messageOf(error), error);
      }
    }
  }
  try {
    const parsed = KeyRingFile.safeParse(readJson(file));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new KeyRingError(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
    }
    return parsed.data.keys.map((key) => ({ id: key.kid, bytes: new Uint8Array(Buffer.from(key.k, 'base64url')) }));
  } catch (error) {
    throw error instanceof KeyRingError ? error : new KeyRingError(file, messageOf(error), error);
  }
}

function readJson(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the file, and a key may stand there.
    throw new KeyRingError(file, 'the file is not JSON');
  }
}

function newKey(): RingKey {
  return { id: `key-${randomBytes(4).toString('hex')}`, bytes: new Uint8Array(randomBytes(32)) };
}
