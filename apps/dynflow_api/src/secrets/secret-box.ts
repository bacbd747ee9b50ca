import { DynflowError, isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import { CompactEncrypt, compactDecrypt, importJWK, type JWK } from 'jose';
import type { RingKey } from './key-ring.js';

/** What is shown in place of a secret. */
export const HIDDEN = '[hidden]';

/** Thrown when sealed secrets cannot be opened: their key is not on the ring (any more). */
export class SecretsUnreadableError extends DynflowError {
  constructor(cause: unknown) {
    super('DYN_SECRETS_UNREADABLE', 'the secrets of this job cannot be opened: the key that sealed them is not among the secret keys', {
      cause,
    });
  }
}

/** An input without its secrets, and the sealed rest. */
export interface SealedInput {
  input: JsonObject;
  sealedSecrets: string | undefined;
}

/**
 * Seals secrets as compact JWE (RFC 7516): with a key of the ring at rest, with an executor's one-time key on the way. A sealed secret is
 * bound to its plan; moved to another it does not open.
 */
export class SecretBox {
  readonly #keys: readonly RingKey[];

  constructor(keys: readonly RingKey[]) {
    this.#keys = keys;
  }

  /** Takes the values of these top-level keys out of an input. What is shown in their place keeps keys and nulls, so that it can be read. */
  async sealInput(input: JsonObject, secretKeys: readonly string[], plan: string): Promise<SealedInput> {
    const secrets: JsonObject = {};
    const shown: JsonObject = { ...input };
    for (const key of secretKeys) {
      const value = input[key];
      if (value !== undefined && holdsSecret(value)) {
        secrets[key] = value;
        shown[key] = hide(value);
      }
    }
    const isEmpty = Object.keys(secrets).length === 0;
    return { input: isEmpty ? input : shown, sealedSecrets: isEmpty ? undefined : await this.#seal(secrets, plan) };
  }

  /** Opens what {@link sealInput} sealed and seals it again, for whoever has the private half of `publicKey`. @throws SecretsUnreadableError */
  async reseal(sealed: string, plan: string, publicKey: JsonObject): Promise<string> {
    const plaintext = await this.#open(sealed, plan);
    const key = await importJWK(publicKey as JWK, 'ECDH-ES+A256KW');
    return new CompactEncrypt(plaintext).setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }).encrypt(key);
  }

  async #seal(secrets: JsonObject, plan: string): Promise<string> {
    const [key] = this.#keys;
    if (key === undefined) {
      throw new Error('a key ring is never empty');
    }
    const plaintext = new TextEncoder().encode(JSON.stringify({ plan, secrets }));
    return new CompactEncrypt(plaintext).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: key.id }).encrypt(key.bytes);
  }

  async #open(sealed: string, plan: string): Promise<Uint8Array> {
    try {
      const { plaintext } = await compactDecrypt(sealed, (header) => {
        const key = this.#keys.find((candidate) => candidate.id === header.kid);
        if (key === undefined) {
          throw new Error(`no key ${String(header.kid)}`);
        }
        return key.bytes;
      });
      const opened = JSON.parse(new TextDecoder().decode(plaintext)) as { plan: string; secrets: JsonObject };
      if (opened.plan !== plan) {
        throw new Error('sealed for another plan');
      }
      return new TextEncoder().encode(JSON.stringify(opened.secrets));
    } catch (error) {
      throw new SecretsUnreadableError(error);
    }
  }
}

function holdsSecret(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null ? Object.values(value).some(holdsSecret) : value !== null;
}

function hide(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map(hide);
  }
  if (isJsonObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hide(item)]));
  }
  return value === null ? null : HIDDEN;
}
