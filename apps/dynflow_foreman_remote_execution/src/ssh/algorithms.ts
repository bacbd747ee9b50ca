import type { Algorithms } from 'ssh2';

/** Host-key signatures that are accepted, best first. SHA-1 (`ssh-rsa`) and DSA are not. */
const hostKeyAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

const algorithmsOfKeyType: Readonly<Record<string, readonly string[]>> = { 'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'] };

/**
 * What is offered to a server: no SHA-1, no CBC, no compression.
 *
 * With pinned key types only those are offered, so that a server with several keys shows the one that is known; offering all would
 * make a new type look like a changed key.
 */
export function algorithmsFor(pinnedTypes: readonly string[]): Algorithms {
  const pinned = pinnedTypes.flatMap((type) => algorithmsOfKeyType[type] ?? [type]);
  const offered = hostKeyAlgorithms.filter((name) => pinned.includes(name));
  return {
    kex: [
      'curve25519-sha256',
      'curve25519-sha256@libssh.org',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group18-sha512',
      'diffie-hellman-group14-sha256',
      'diffie-hellman-group-exchange-sha256',
    ],
    serverHostKey: [...(offered.length > 0 ? offered : hostKeyAlgorithms)],
    cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
    hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
    compress: ['none'],
  };
}
