import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import ssh2 from 'ssh2';
import type { ParsedKey } from 'ssh2';
import { SshError } from './errors.js';

/** How many decrypted keys are kept, so that a fleet with a few passphrases does not pay for the key derivation at each login. */
const CACHE_SIZE = 16;

/**
 * Reads the private key that hosts know us by. A key that was read is kept until its file changes, because decrypting one takes
 * some 100 ms of CPU on the event loop.
 */
export class PrivateKeyFile {
  private readonly cache = new Map<string, ParsedKey>();

  constructor(readonly path: string) {}

  /** @throws SshError `key-missing`, `key-passphrase` (none given, or a wrong one) or `key-invalid`. */
  async load(passphrase?: string): Promise<ParsedKey> {
    let text: string;
    let version: string;
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      version = `${ino}:${size}:${mtimeMs}`;
      const kept = this.cache.get(this.cacheKey(version, passphrase));
      if (kept !== undefined) return kept;
      text = await readFile(this.path, 'utf8');
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
      throw new SshError('key-missing', `the private key ${this.path} cannot be read (${code})`, { cause });
    }
    const key = this.parse(text, passphrase);
    if (this.cache.size >= CACHE_SIZE) this.cache.clear();
    this.cache.set(this.cacheKey(version, passphrase), key);
    return key;
  }

  private parse(text: string, passphrase: string | undefined): ParsedKey {
    const parsed: unknown = ssh2.utils.parseKey(text, passphrase);
    if (parsed instanceof Error) {
      if (/no passphrase given/i.test(parsed.message)) {
        throw new SshError('key-passphrase', `the private key ${this.path} needs a passphrase, and none was given (key_passphrase)`);
      }
      if (passphrase !== undefined && /bad passphrase|integrity|decrypt/i.test(parsed.message)) {
        throw new SshError('key-passphrase', `the passphrase given for the private key ${this.path} is wrong`);
      }
      throw new SshError('key-invalid', `the private key ${this.path} cannot be used: ${parsed.message}`);
    }
    const key = (Array.isArray(parsed) ? parsed[0] : parsed) as ParsedKey | undefined;
    if (key === undefined || !key.isPrivateKey()) throw new SshError('key-invalid', `${this.path} holds no private key`);
    return withoutSha1(key);
  }

  private cacheKey(version: string, passphrase: string | undefined): string {
    return `${version}:${passphrase === undefined ? '' : createHash('sha256').update(passphrase).digest('base64')}`;
  }
}

/** ssh2 signs with SHA-1 for servers that name no signature algorithms; those signatures can be forged, so they are refused. */
function withoutSha1(key: ParsedKey): ParsedKey {
  if (key.type !== 'ssh-rsa') return key;
  const sign = key.sign.bind(key);
  key.sign = (data, algorithm) =>
    algorithm === 'sha256' || algorithm === 'sha512' ? sign(data, algorithm) : (new Error('SHA-1 signatures are not made') as never);
  return key;
}
