import { messageOf } from '@dynflow/kernel';
import { SshError } from './errors.js';
import { fingerprintOf, hostKeyFromWire } from './host-keys.js';
import type { HostKeyPolicy, HostKeyStore, KnownHostKey } from './host-keys.js';

const list = (keys: readonly KnownHostKey[]): string => keys.map((key) => `${fingerprintOf(key)} (${key.type})`).join(', ');

/**
 * The decision about one connection's host key.
 *
 * Use: `prepare` before connecting (the pinned types limit what is offered), `accepts` when the server shows its key, `settle`
 * after the key exchange proved that the server owns it and before any credential is sent.
 */
export class HostKeyCheck {
  private known: readonly KnownHostKey[] = [];
  private shown: KnownHostKey | undefined;

  constructor(
    private readonly store: HostKeyStore,
    private readonly policy: HostKeyPolicy,
    private readonly host: string,
    private readonly port: number,
    private readonly label: string,
  ) {}

  /** The key types to offer; empty for a host that is not known. */
  get pinnedTypes(): readonly string[] {
    return [...new Set(this.known.map((key) => key.type))];
  }

  async prepare(isFirstContact: boolean): Promise<void> {
    try {
      if (isFirstContact) await this.store.forget(this.host, this.port);
      this.known = await this.store.find(this.host, this.port);
    } catch (error) {
      throw this.storeFailed('read', error);
    }
  }

  accepts(wire: Buffer): boolean {
    this.shown = hostKeyFromWire(wire);
    return this.isKnown(this.shown) || (this.known.length === 0 && this.policy === 'accept-new');
  }

  /** Notes a key that was looked at but not accepted, for the refusal's text. */
  see(key: KnownHostKey): void {
    this.shown = key;
  }

  async settle(): Promise<void> {
    if (this.shown === undefined || this.isKnown(this.shown)) return;
    try {
      await this.store.remember(this.host, this.port, this.shown);
    } catch (error) {
      throw this.storeFailed('write', error);
    }
    // When keys are exchanged again on this connection, only this one will do.
    this.known = [this.shown];
  }

  /** The refusal, once `accepts` said no or the server had none of the pinned types. */
  refusal(): SshError {
    if (this.known.length === 0) {
      const shown = this.shown === undefined ? '' : ` It shows ${list([this.shown])}.`;
      return new SshError(
        'host-key-unknown',
        `the host key of ${this.label} is not known, and the policy "strict" trusts no new ones.${shown} Add the key to the known hosts if it is right.`,
      );
    }
    const shown = this.shown === undefined ? 'a key of another type' : list([this.shown]);
    return new SshError(
      'host-key-changed',
      `the host key of ${this.label} has changed: known is ${list(this.known)}, the host now shows ${shown}. ` +
        `Nothing was sent to it. If the host was rebuilt, remove its known host key and run the job again; if not, somebody may be in between.`,
    );
  }

  private isKnown(key: KnownHostKey): boolean {
    return this.known.some((other) => other.key === key.key);
  }

  private storeFailed(verb: 'read' | 'write', cause: unknown): SshError {
    return new SshError('host-key-store', `cannot ${verb} the known host keys for ${this.label}: ${messageOf(cause)}`, { cause });
  }
}
