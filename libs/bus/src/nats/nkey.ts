import { nkeys } from '@nats-io/transport-node';

/** A new login: the seed stays with who logs in, the public key goes into the server's configuration. */
export function makeNkey(): { readonly seed: string; readonly publicKey: string } {
  const pair = nkeys.createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** The public key that belongs to a seed. @throws Error if the text is no seed. */
export function publicNkeyOf(seed: string): string {
  return nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();
}
