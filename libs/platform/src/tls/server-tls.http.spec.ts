import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { connect as connectPlain, createServer as createPlainServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { makeCertificates, type CertificateFiles, type Certificates } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clientNameOf } from './client-name.js';
import { loadServerTls } from './server-tls.js';

let dir: string;
let certificates: Certificates;
let strangers: Certificates;
const servers: Server[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'server-tls-'));
  certificates = await makeCertificates(join(dir, 'ours'), { client: { commonName: 'Foreman.Example.Test' } });
  strangers = await makeCertificates(join(dir, 'strangers'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

afterAll(() => rm(dir, { recursive: true }));

/** A server that answers each request with the client's name. */
async function start(ca: string | null = certificates.ca): Promise<number> {
  const options = await loadServerTls({ ...certificates.server, ca });
  const server = createServer(options, (request, response) => response.end(JSON.stringify(clientNameOf(request.socket))));
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

interface Answer {
  /** The name that the server saw. */
  name: unknown;
  /** The newest session that the connection could be resumed with. */
  session: Buffer | undefined;
  isReused: boolean;
}

/** Asks with a certificate, or with none. */
async function ask(port: number, client: CertificateFiles | null, options: ConnectionOptions = {}): Promise<Answer> {
  const files = client === null ? {} : { cert: readFileSync(client.cert), key: readFileSync(client.key) };
  const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(certificates.ca), ...files, ...options });
  const sessions: Buffer[] = [];
  socket.on('session', (session: Buffer) => sessions.push(session));
  await once(socket, 'secureConnect');
  const isReused = socket.isSessionReused();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
  }
  return { name: JSON.parse(/"[^"]*"$|null$/.exec(text)?.[0] ?? '{}'), session: sessions.at(-1), isReused };
}

describe('a TLS server', () => {
  it('knows a client by the common name of its certificate, in lower case', async () => {
    expect((await ask(await start(), certificates.client)).name).toBe('foreman.example.test');
  });

  it('serves a client without a certificate, and one of an unknown authority, namelessly', async () => {
    const port = await start();

    expect((await ask(port, null)).name).toBeNull();
    expect((await ask(port, strangers.client)).name).toBeNull();
  });

  it('trusts no certificate at all where no authority is configured', async () => {
    expect((await ask(await start(null), certificates.client)).name).toBeNull();
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('knows a client again that resumes its session with %s', async (version) => {
    const port = await start();
    const options = { minVersion: version, maxVersion: version };
    const first = await ask(port, certificates.client, options);

    expect(first.session).toBeDefined();
    const second = await ask(port, certificates.client, { ...options, ...(first.session && { session: first.session }) });

    expect(second).toMatchObject({ name: 'foreman.example.test', isReused: true });
  });

  it('speaks nothing older than TLS 1.2', async () => {
    const options = { host: '127.0.0.1', port: await start(), ca: readFileSync(certificates.ca) };
    const socket: TLSSocket = connect({ ...options, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });

    const [error] = (await once(socket, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });
});

describe('clientNameOf', () => {
  it('knows nobody on a plain connection', async () => {
    const server = createPlainServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client: Socket = connectPlain((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];

    expect(clientNameOf(socket)).toBeNull();
    client.destroy();
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
