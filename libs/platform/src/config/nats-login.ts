import type { NatsConfig, TlsFiles } from './config.js';

/** The part of a connection to NATS that is configured: where it is, the login, TLS. */
export function natsLogin(nats: NatsConfig): { url: string; tls: TlsFiles; credentials?: { nkeyFile: string } } {
  return { url: nats.url, tls: nats.tls, ...(nats.nkeyFile === null ? {} : { credentials: { nkeyFile: nats.nkeyFile } }) };
}
