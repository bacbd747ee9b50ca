import { DynflowError } from '@dynflow/kernel';
import type { DynflowErrorOptions } from '@dynflow/kernel';

/** Why an SSH connection could not be made, or did not last. */
export type SshErrorKind =
  | 'cancelled'
  | 'unresolvable'
  | 'refused'
  | 'unreachable'
  | 'no-answer'
  | 'handshake'
  | 'host-key-changed'
  | 'host-key-unknown'
  | 'host-key-store'
  | 'key-missing'
  | 'key-passphrase'
  | 'key-invalid'
  | 'login-refused'
  | 'session-refused'
  | 'upload-failed'
  | 'lost';

const retryableKinds: ReadonlySet<SshErrorKind> = new Set([
  'refused',
  'unreachable',
  'no-answer',
  'host-key-store',
  'session-refused',
  'lost',
]);

/**
 * Thrown by everything in this folder when a host cannot be reached, trusted, logged in to, or is lost.
 *
 * `message` is one clear line for the job's output: it names the host, the cause, and what to do where that is known; it never
 * holds a password or a passphrase. `retryable` says whether the same attempt may succeed later; whether it is *safe* to try again
 * is the caller's to know.
 */
export class SshError extends DynflowError {
  readonly kind: SshErrorKind;

  constructor(kind: SshErrorKind, message: string, options: DynflowErrorOptions = {}) {
    super(`DYN_SSH_${kind.replaceAll('-', '_').toUpperCase()}`, message, { retryable: retryableKinds.has(kind), ...options });
    this.kind = kind;
  }
}
