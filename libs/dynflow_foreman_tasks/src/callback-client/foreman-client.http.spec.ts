import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates, startForeman, type Certificates, type Foreman, type ForemanOptions } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createForemanClient, type ForemanClient, type ForemanClientOptions } from './foreman-client.js';
import type { ForemanRefusal } from './foreman-errors.js';

let dir: string;
let certificates: Certificates;
let strangers: Certificates;
const atEnd: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'callback-client-'));
  certificates = await makeCertificates(join(dir, 'ours'));
  strangers = await makeCertificates(join(dir, 'strangers'));
});

afterEach(async () => {
  for (const end of atEnd.splice(0).toReversed()) {
    await end();
  }
});

afterAll(() => rm(dir, { recursive: true }));

async function foremanWith(options: Partial<ForemanOptions> = {}): Promise<Foreman> {
  const foreman = await startForeman({ tls: certificates.server, ...options });
  atEnd.push(() => foreman.stop());
  return foreman;
}

async function plainServer(listener: RequestListener): Promise<{ url: string }> {
  return { url: await listening(createServer(listener), 'http') };
}

async function listening(server: HttpServer | TlsServer, scheme: string): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(options: ForemanClientOptions): ForemanClient {
  const client = createForemanClient({ tls: certificates.client, timeoutMs: 10_000, ...options });
  atEnd.push(() => client.close());
  return client;
}

function callback(taskId: string): { callback: { task_id: string; step_id: number }; data: { result: never[]; exit_status: number } } {
  return { callback: { task_id: taskId, step_id: 3 }, data: { result: [], exit_status: 0 } };
}

function refusalOf(delivery: Promise<unknown>): Promise<ForemanRefusal> {
  return delivery.then(
    () => Promise.reject(new Error('the callback was delivered')),
    (error: unknown) => error as ForemanRefusal,
  );
}

describe('a callback', () => {
  it('reaches Foreman under our name, in its form', async () => {
    const foreman = await foremanWith();

    await expect(clientOf({ url: foreman.url }).postCallback(callback('t1'))).resolves.toEqual({ status: 200 });

    expect(foreman.counts()).toEqual({ t1: 1 });
    expect(foreman.requests[0]).toMatchObject({
      method: 'POST',
      path: '/foreman_tasks/api/tasks/callback',
      clientSubject: '/CN=proxy.example.test',
      body: callback('t1'),
      headers: { 'content-type': 'application/json', accept: 'application/json,version=2' },
    });
  });

  it('keeps the path of an address that has one, and its connections', async () => {
    const paths: (string | undefined)[] = [];
    const sockets = new Set<unknown>();
    const { url } = await plainServer((request, response) => {
      paths.push(request.url);
      sockets.add(request.socket);
      request.resume().once('end', () => response.end('{"message":"processing"}'));
    });
    const client = clientOf({ url: `${url}/foreman/` });

    for (let n = 0; n < 10; n += 1) {
      await client.postCallback(callback(`t${n}`));
    }

    expect(paths).toEqual(Array(10).fill('/foreman/foreman_tasks/api/tasks/callback'));
    // The pool opens a second one if it is asked before it has put the first aside.
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  it('is one of at most eight at once, and the others follow', async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    let arrived = 0;
    const { url } = await plainServer((request, response) => {
      request.resume().once('end', () => {
        waiting.push(() => response.end('{}'));
        arrived += 1;
        most = Math.max(most, waiting.length);
        if (arrived >= 8) {
          waiting.splice(0).forEach((answer) => answer());
        }
      });
    });
    const client = clientOf({ url });

    await Promise.all(Array.from({ length: 25 }, (_, index) => client.postCallback(callback(`t${index}`))));

    expect(arrived).toBe(25);
    expect(most).toBe(8);
  });
});

describe('a callback that is not taken', () => {
  it('says that the certificate is of no registered smart proxy', async () => {
    const foreman = await foremanWith({ registeredProxies: ['another.example.test'] });

    const refusal = await refusalOf(clientOf({ url: foreman.url }).postCallback(callback('t1')));

    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_FORBIDDEN', status: 403, retryable: true });
    expect(foreman.counts()).toEqual({});
  });

  it('gives what Foreman says, short and on one line, and goes on with the same client', async () => {
    let asked = 0;
    const { url } = await plainServer((request, response) => {
      request.resume().once('end', () => {
        asked += 1;
        response.statusCode = asked === 1 ? 500 : 200;
        response.end(JSON.stringify({ error: { message: `broken\r\n${'x'.repeat(1_000)}` } }));
      });
    });
    const client = clientOf({ url });

    const refusal = await refusalOf(client.postCallback(callback('t1')));
    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_FAILED', status: 500, retryable: true });
    expect(refusal.message).toMatch(/Foreman says: broken x{293}…$/);
    await expect(client.postCallback(callback('t1'))).resolves.toEqual({ status: 200 });
  });

  it('does not read a refusal without end', async () => {
    const { url } = await plainServer((request, response) => {
      request.resume();
      response.writeHead(502, { 'content-type': 'text/html' });
      const more = (): void => void (response.destroyed || response.write('<p>'.repeat(10_000), more));
      more();
    });

    await expect(refusalOf(clientOf({ url }).postCallback(callback('t1')))).resolves.toMatchObject({ status: 502, retryable: true });
  });

  it('is final where a redirect shows that the address is wrong', async () => {
    const { url } = await plainServer((_, response) => response.writeHead(301, { location: 'https://foreman.example.com/x' }).end());

    const refusal = await refusalOf(clientOf({ url }).postCallback(callback('t1')));

    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_REDIRECTS', retryable: false });
    expect(refusal.message).toContain('https://foreman.example.com/x');
  });

  it('is told from one that got no answer: down, silent, cut off', async () => {
    const foreman = await foremanWith({
      onCallback: (n) => (n === 1 ? { delayMs: Infinity } : { isDisconnected: true, isProcessed: true }),
    });
    const client = clientOf({ url: foreman.url, timeoutMs: 500 });

    await expect(refusalOf(client.postCallback(callback('silent')))).resolves.toMatchObject({
      code: 'DYN_FOREMAN_TIMEOUT',
      retryable: true,
    });
    await expect(refusalOf(client.postCallback(callback('cut')))).resolves.toMatchObject({
      code: 'DYN_FOREMAN_UNREACHABLE',
      retryable: true,
    });
    await foreman.stop();
    const down = await refusalOf(clientOf({ url: foreman.url }).postCallback(callback('down')));
    expect(down).toMatchObject({ code: 'DYN_FOREMAN_UNREACHABLE', retryable: true, status: null });
    expect(down.message).toContain('nothing listens there');
  });
});

describe('TLS', () => {
  it('does not talk to a Foreman whose authority it does not trust', async () => {
    const foreman = await foremanWith();

    const refusal = await refusalOf(
      clientOf({ url: foreman.url, tls: { ...certificates.client, ca: strangers.ca } }).postCallback(callback('t1')),
    );

    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_TLS', retryable: true });
    expect(refusal.message).toContain('DYNFLOW_FOREMAN_SSL_CA');
    expect(foreman.requests).toEqual([]);
  });

  it('does not talk to a Foreman of another name', async () => {
    const tls = await certificates.issue('other', { commonName: 'other.example.test', dnsNames: ['other.example.test'] });
    const foreman = await foremanWith({ tls });

    const refusal = await refusalOf(clientOf({ url: foreman.url }).postCallback(callback('t1')));

    expect(refusal.message).toContain('for another name');
  });

  it('says when what answers speaks no TLS', async () => {
    const { url } = await plainServer((_, response) => response.end());

    const refusal = await refusalOf(clientOf({ url: url.replace('http:', 'https:') }).postCallback(callback('t1')));

    expect(refusal.message).toContain('does not speak TLS');
  });

  it('says when Foreman breaks the handshake off', async () => {
    const { server: files } = certificates;
    const [cert, key] = await Promise.all([files.cert, files.key].map((path) => readFile(path)));
    const server = createTlsServer({ cert, key, maxVersion: 'TLSv1.2', ciphers: 'PSK-AES128-GCM-SHA256' }, (_, response) => response.end());
    const url = await listening(server, 'https');

    const refusal = await refusalOf(clientOf({ url }).postCallback(callback('t1')));

    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_TLS', retryable: true });
    expect(refusal.message).toContain('Foreman refuses our side of it');
  });

  it('uses the certificate that replaced a refused one, without a restart', async () => {
    const foreman = await foremanWith();
    const cert = join(dir, 'renewed.crt');
    const key = join(dir, 'renewed.key');
    await copyFile(strangers.client.cert, cert);
    await copyFile(strangers.client.key, key);
    const client = clientOf({ url: foreman.url, tls: { cert, key, ca: certificates.ca } });

    await expect(refusalOf(client.postCallback(callback('t1')))).resolves.toMatchObject({ code: 'DYN_FOREMAN_FORBIDDEN' });

    await copyFile(certificates.client.cert, cert);
    await copyFile(certificates.client.key, key);
    await expect(client.postCallback(callback('t1'))).resolves.toEqual({ status: 200 });
  });

  it('names a file that cannot be read', async () => {
    const foreman = await foremanWith();

    const refusal = await refusalOf(clientOf({ url: foreman.url, tls: { ca: join(dir, 'missing.crt') } }).postCallback(callback('t1')));

    expect(refusal).toMatchObject({ code: 'DYN_FOREMAN_TLS', message: expect.stringContaining('missing.crt') });
  });
});

describe('a client that closes', () => {
  it('lets what is on its way arrive and refuses what comes after', async () => {
    const foreman = await foremanWith({ onCallback: () => ({ delayMs: 50 }) });
    const client = clientOf({ url: foreman.url });

    const onItsWay = client.postCallback(callback('t1'));
    await foreman.waitForRequest(1, { timeoutMs: 5_000 });
    await client.close();

    await expect(onItsWay).resolves.toEqual({ status: 200 });
    await expect(refusalOf(client.postCallback(callback('t2')))).resolves.toMatchObject({ retryable: true });
    expect(foreman.counts()).toEqual({ t1: 1 });
  });
});
