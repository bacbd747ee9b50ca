import { readFile } from 'node:fs/promises';

/** Options for Node's HTTPS server, and so for Fastify's `https`. */
export interface ServerTlsOptions {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
  requestCert: boolean;
  rejectUnauthorized: false;
  minVersion: 'TLSv1.2';
  honorCipherOrder: true;
}

/**
 * Reads a server's PEM files. Clients are asked for a certificate but not turned away without one, because some routes are open:
 * each other route has to ask {@link clientNameOf}. Without `ca` nobody is asked, for then any public authority would count.
 *
 * @throws what the file system throws; `loadGatewayConfig` has checked the files before.
 */
export async function loadServerTls(files: { cert: string; key: string; ca: string | null }): Promise<ServerTlsOptions> {
  const [cert, key, ca] = await Promise.all([
    readFile(files.cert),
    readFile(files.key),
    files.ca === null ? undefined : readFile(files.ca),
  ]);
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    requestCert: ca !== undefined,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    honorCipherOrder: true,
  };
}
