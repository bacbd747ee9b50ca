import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * The common name, in lower case, of the certificate that a client showed and that a trusted authority signed. Null on a plain
 * connection, without a certificate, with one that did not verify, and with one that has no common name or several.
 */
export function clientNameOf(socket: Socket): string | null {
  if (!(socket instanceof TLSSocket) || !socket.authorized) {
    return null;
  }
  // Typed as always there, but empty without a certificate, and null on a socket that is gone.
  const certificate = socket.getPeerCertificate() as { subject?: { CN?: string | string[] } } | null;
  const name = certificate?.subject?.CN;
  return typeof name === 'string' && name !== '' ? name.toLowerCase() : null;
}
