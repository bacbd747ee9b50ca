import { createHash } from 'node:crypto';

/** A host's public key as it is kept. */
export interface KnownHostKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, … */
  readonly type: string;
  /** The key in SSH wire form, base64: what stands in `known_hosts`. */
  readonly key: string;
}

/** Where host keys are remembered. Hosts are named as the job names them, in lower case; the port is part of the name. */
export interface HostKeyStore {
  find(host: string, port: number): Promise<readonly KnownHostKey[]>;
  /** Adds a key; the same key twice is one entry. */
  remember(host: string, port: number, key: KnownHostKey): Promise<void>;
  /** Removes what is known of the host on that port, or on all ports. Unknown hosts are no error. */
  forget(host: string, port?: number): Promise<void>;
}

/** `accept-new`: trust on first use, a changed key is refused. `strict`: only hosts that are known already. */
export type HostKeyPolicy = 'accept-new' | 'strict';

/** The fingerprint as `ssh-keygen -l` prints it. */
export function fingerprintOf(key: KnownHostKey): string {
  return `SHA256:${createHash('sha256').update(Buffer.from(key.key, 'base64')).digest('base64').replace(/=+$/, '')}`;
}

/** Reads type and blob out of a key in wire form. */
export function hostKeyFromWire(wire: Buffer): KnownHostKey {
  const length = wire.length >= 4 ? wire.readUInt32BE(0) : 0;
  return { type: wire.subarray(4, 4 + length).toString('latin1'), key: wire.toString('base64') };
}

/** Keeps host keys for the life of the process. For tests, and for a transport used on its own. */
export class MemoryHostKeyStore implements HostKeyStore {
  private readonly keys = new Map<string, Map<number, KnownHostKey[]>>();

  find(host: string, port: number): Promise<readonly KnownHostKey[]> {
    return Promise.resolve([...(this.keys.get(host)?.get(port) ?? [])]);
  }

  remember(host: string, port: number, key: KnownHostKey): Promise<void> {
    const ports = this.keys.get(host) ?? new Map<number, KnownHostKey[]>();
    const known = ports.get(port) ?? [];
    if (!known.some((other) => other.key === key.key)) known.push(key);
    ports.set(port, known);
    this.keys.set(host, ports);
    return Promise.resolve();
  }

  forget(host: string, port?: number): Promise<void> {
    if (port === undefined) this.keys.delete(host);
    else this.keys.get(host)?.delete(port);
    return Promise.resolve();
  }
}
