import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import ssh2 from 'ssh2';

/** A throwaway key pair, in the forms of OpenSSH's files. */
export interface SshKeyPair {
  readonly privateKey: string;
  /** One line: type, base64, comment. */
  readonly publicKey: string;
}

interface KeyPairOptions {
  readonly type?: 'ed25519' | 'rsa';
  /** Encrypts the private key as OpenSSH does it. */
  readonly passphrase?: string;
  readonly comment?: string;
}

/** Makes a key pair without `ssh-keygen`. */
export function makeSshKeyPair(options: KeyPairOptions = {}): SshKeyPair {
  // ssh2's generator now and then writes an ed25519 key that nobody can read, its own parser included.
  for (;;) {
    const pair = generate(options);
    const keys = [ssh2.utils.parseKey(pair.privateKey, options.passphrase), ssh2.utils.parseKey(pair.publicKey)];
    if (keys.every((key) => !(key instanceof Error))) return pair;
  }
}

function generate({ type, passphrase, comment = 'throwaway' }: KeyPairOptions): SshKeyPair {
  const encryption = passphrase === undefined ? {} : { passphrase, cipher: 'aes256-ctr', rounds: 4 };
  const pair =
    type === 'rsa'
      ? ssh2.utils.generateKeyPairSync('rsa', { bits: 2048, comment, ...encryption })
      : ssh2.utils.generateKeyPairSync('ed25519', { comment, ...encryption });
  return { privateKey: pair.private, publicKey: pair.public };
}

/** Writes a private key where only its owner can read it. */
export async function writePrivateKey(path: string, key: SshKeyPair): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, key.privateKey.endsWith('\n') ? key.privateKey : `${key.privateKey}\n`, { mode: 0o600 });
}

/** The key's type and base64, without the comment: how host keys are stored and compared. */
export function keyParts(publicKey: string): { type: string; key: string } {
  const [type = '', key = ''] = publicKey.trim().split(/\s+/);
  return { type, key };
}
