import { compactDecrypt, exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import { isJsonObject, type Clock, type JsonObject } from '@dynflow/kernel';

const ALGORITHM = 'ECDH-ES+A256KW';
const ENCRYPTION = 'A256GCM';

/** A key pair that lives only here: secrets are sealed to its public half. */
export interface ClaimKey {
  readonly publicKey: JsonObject;
  /** Opens a compact JWE that was sealed to this key. @throws when it was sealed to another or altered. */
  open(sealed: string): Promise<JsonObject>;
}

/**
 * Gives key pairs for claims. To make one costs more than a whole step, so one serves all claims of a short time; the next is made
 * when it is first asked for after that.
 */
export class ClaimKeys {
  #current: Promise<ClaimKey> | undefined;
  #expiresAtMs = 0;

  constructor(
    private readonly clock: Clock,
    private readonly lifeMs: number,
  ) {}

  async current(): Promise<ClaimKey> {
    const nowMs = this.clock.now();
    if (this.#current === undefined || nowMs >= this.#expiresAtMs) {
      this.#expiresAtMs = nowMs + this.lifeMs;
      this.#current = makeKey();
    }
    return this.#current;
  }
}

async function makeKey(): Promise<ClaimKey> {
  // P-256: Node 20 calls its X25519 experimental, with a warning at each start.
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { crv: 'P-256' });
  const { kty, crv, x, y } = await exportJWK(publicKey);
  return {
    publicKey: { kty: kty ?? '', crv: crv ?? '', x: x ?? '', y: y ?? '', alg: ALGORITHM, use: 'enc' },
    open: async (sealed) => openWith(privateKey, sealed),
  };
}

async function openWith(privateKey: CryptoKey, sealed: string): Promise<JsonObject> {
  const { plaintext } = await compactDecrypt(sealed, privateKey, {
    keyManagementAlgorithms: [ALGORITHM],
    contentEncryptionAlgorithms: [ENCRYPTION],
  });
  const secrets: unknown = JSON.parse(new TextDecoder().decode(plaintext));
  if (!isJsonObject(secrets)) {
    throw new TypeError('expected an object with the secret input keys');
  }
  return secrets;
}
