import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';

/** The subject of the peer's certificate in OpenSSL's old form (`/CN=proxy.example.test`); undefined if it showed none. */
export function subjectOf(socket: TLSSocket): string | undefined {
  const subject = peerCertificate(socket)?.subject;
  if (subject === undefined) {
    return undefined;
  }
  return Object.entries(subject)
    .flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => `/${key}=${one}`))
    .join('');
}

/** The host names a certificate stands for: those of its alternative names if it has any, else its common name. */
export function certificateNames(socket: TLSSocket): readonly string[] {
  const certificate = peerCertificate(socket);
  const alternative = certificate?.subjectaltname
    ?.split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice('DNS:'.length));
  if (alternative !== undefined && alternative.length > 0) {
    return alternative;
  }
  return [certificate?.subject.CN ?? []].flat();
}

/** Node gives an empty object, not undefined, when there is no certificate. */
function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerCertificate();
  return Object.keys(certificate).length === 0 ? undefined : certificate;
}

/** Listens on `address` if given, else on 127.0.0.1 or, where there is only IPv6, on ::1. */
export async function listenOnLoopback(server: Server, port: number, address?: string): Promise<AddressInfo> {
  const addresses = address === undefined ? ['127.0.0.1', '::1'] : [address];
  for (const [index, host] of addresses.entries()) {
    try {
      return await listen(server, port, host);
    } catch (error) {
      const isLast = index === addresses.length - 1;
      if (isLast || (error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') {
        throw error;
      }
    }
  }
  throw new Error('no loopback address to listen on');
}

function listen(server: Server, port: number, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}
