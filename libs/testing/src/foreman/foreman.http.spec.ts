import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonValue } from '@dynflow/kernel';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fixtureNames, loadCallback } from '../../../../test/support/fixtures.js';
import { expectShape } from '../../../../test/support/match-shape.js';
import { makeCertificates } from '../tls/certificates.js';
import type { CertificateFiles, Certificates } from '../tls/certificates.js';
import { startForeman } from './foreman-server.js';
import type { Foreman, ForemanOptions } from './foreman.js';
import { exchange } from './http-exchange.js';
import type { HttpAnswer } from './http-exchange.js';

const path = '/foreman_tasks/api/tasks/callback';
const soon = { timeoutMs: 5_000 };

let dir: string;
let certificates: Certificates;
const started: Foreman[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'foreman-'));
  certificates = await makeCertificates(dir);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((foreman) => foreman.stop()));
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function start(options: Partial<ForemanOptions> = {}): Promise<Foreman> {
  const foreman = await startForeman({ tls: certificates.server, ...options });
  started.push(foreman);
  return foreman;
}

function post(
  foreman: Foreman,
  body: unknown,
  client: { ca: string } & Partial<CertificateFiles> = certificates.client,
): Promise<HttpAnswer> {
  return exchange(`${foreman.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    rawBody: typeof body === 'string' ? body : JSON.stringify(body),
    tls: client,
    timeoutMs: 10_000,
  });
}

function callback(taskId: string, exitStatus: JsonValue = 0): object {
  const result = [{ output_type: 'stdout', output: 'hi\n', timestamp: 1795350763.25 }];
  return { callback: { task_id: taskId, step_id: 3 }, data: { result, exit_status: exitStatus, exit_status_timestamp: 1795350764.5 } };
}

describe('callbacks', () => {
  it.each(fixtureNames('callbacks'))('takes in %s', async (name) => {
    const fixture = loadCallback(name);
    const foreman = await start();

    const answer = await exchange(`${foreman.url}${fixture.request.path}`, {
      method: fixture.request.method,
      headers: fixture.request.headers,
      rawBody: JSON.stringify(fixture.request.body),
      tls: certificates.client,
    });

    expect(answer.status).toBe(fixture.expect.status);
    expectShape(answer.body, fixture.expect.body);
    const ingested = fixture.ingested.map(({ taskId }) => ({
      taskId,
      rows: foreman.rowsOf(taskId),
      result: foreman.resultOf(taskId),
      faults: foreman.faultsOf(taskId),
    }));
    expect(ingested).toEqual(fixture.ingested);
    expect(foreman.counts()).toEqual(Object.fromEntries(fixture.ingested.map(({ taskId }) => [taskId, 1])));
  });

  it('are recorded with time, certificate, headers and body', async () => {
    const foreman = await start();
    const before = Date.now();
    await post(foreman, callback('a'));

    const request = foreman.requests[0];
    expect(request).toMatchObject({
      number: 1,
      method: 'POST',
      path,
      clientSubject: '/CN=proxy.example.test',
      status: 200,
      isProcessed: true,
    });
    expect(request?.headers['content-type']).toBe('application/json');
    expect(request?.body).toEqual(callback('a'));
    expect(request?.rawBody).toBe(JSON.stringify(callback('a')));
    expect(request?.at).toBeGreaterThanOrEqual(before);
    expect(request?.at).toBeLessThanOrEqual(Date.now());
  });

  it('may have a query', async () => {
    const foreman = await start();
    const rawBody = JSON.stringify(callback('a'));
    const answer = await exchange(`${foreman.url}${path}?a=1`, { method: 'POST', rawBody, tls: certificates.client });
    expect(answer.status).toBe(200);
    expect(foreman.requests[0]?.path).toBe(`${path}?a=1`);
  });

  it('that come twice are counted twice and change nothing', async () => {
    const foreman = await start();
    await post(foreman, callback('a', 7));
    await post(foreman, callback('a', 0));
    await post(foreman, callback('b'));

    expect(foreman.counts()).toEqual({ a: 2, b: 1 });
    expect(foreman.rowsOf('a').map((row) => row.event)).toEqual(['hi\n', '7']);
    expect(foreman.resultOf('a')).toBe('failure');
  });
});

describe('refusals', () => {
  it('403 without a certificate, with nothing taken in', async () => {
    const foreman = await start();
    const answer = await post(foreman, callback('a'), { ca: certificates.ca });
    expect(answer.status).toBe(403);
    expect(foreman.requests[0]).toMatchObject({ clientSubject: undefined, status: 403, isProcessed: false });
    expect(foreman.counts()).toEqual({});
  });

  it('403 with the certificate of another authority', async () => {
    const foreman = await start();
    const other = await makeCertificates(join(dir, 'other'));
    const answer = await post(foreman, callback('a'), { ...other.client, ca: certificates.ca });
    expect(answer.status).toBe(403);
    expect(foreman.counts()).toEqual({});
  });

  it('403 with a name that is no registered proxy; an alternative name goes before the common one', async () => {
    const foreman = await start({ registeredProxies: ['proxy.example.test'] });
    const commonOnly = await certificates.issue('common', { commonName: 'proxy.example.test' });
    const renamed = await certificates.issue('renamed', { commonName: 'proxy.example.test', dnsNames: ['other.example.test'] });
    expect((await post(foreman, callback('a'))).status).toBe(200);
    expect((await post(foreman, callback('b'), commonOnly)).status).toBe(200);
    expect((await post(foreman, callback('c'), renamed)).status).toBe(403);
    expect(foreman.counts()).toEqual({ a: 1, b: 1 });
  });

  it('404 for another path or method', async () => {
    const foreman = await start();
    const get = await exchange(`${foreman.url}${path}`, { method: 'GET', tls: certificates.client });
    const elsewhere = await exchange(`${foreman.url}/foreman${path}`, { method: 'POST', rawBody: '{}', tls: certificates.client });
    expect([get.status, elsewhere.status]).toEqual([404, 404]);
  });

  it.each([
    ['no JSON', '{"callback":', 400],
    ['data that is null', { callback: { task_id: 'a', step_id: 3 }, data: null }, 500],
    ['one bad entry among good ones', { callbacks: [callback('a'), {}] }, 500],
  ])('refuses %s with nothing taken in', async (_, body, status) => {
    const foreman = await start();
    expect((await post(foreman, body)).status).toBe(status);
    expect(foreman.counts()).toEqual({});
  });

  it('are not met by a client that does not trust the server', async () => {
    const foreman = await start();
    const other = await makeCertificates(join(dir, 'third'));
    await expect(post(foreman, callback('a'), { ...certificates.client, ca: other.ca })).rejects.toThrow(/certificate/);
    expect(foreman.requests).toEqual([]);
  });
});

describe('faults on demand', () => {
  it('refuses as told and sees the retry', async () => {
    const foreman = await start({ onCallback: (n) => (n <= 2 ? { status: n === 1 ? 500 : 503 } : undefined) });
    const statuses = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      statuses.push((await post(foreman, callback('a'))).status);
    }
    expect(statuses).toEqual([500, 503, 200]);
    expect(foreman.requests.map((request) => request.status)).toEqual([500, 503, 200]);
    expect(foreman.counts()).toEqual({ a: 1 });
  });

  it('is slow as told, and takes in only then', async () => {
    const foreman = await start({ onCallback: () => ({ delayMs: 100 }) });
    const sentAt = Date.now();
    const answered = post(foreman, callback('a'));
    await foreman.waitForRequest(1, soon);
    expect(foreman.counts()).toEqual({});
    expect((await answered).status).toBe(200);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(99);
    expect(foreman.counts()).toEqual({ a: 1 });
  });

  it('hangs as told, until it is stopped', async () => {
    const foreman = await start({ onCallback: (n) => (n === 1 ? { delayMs: Infinity } : undefined) });
    const ended = post(foreman, callback('a')).catch((error: unknown) => error);
    await foreman.waitForRequest(1, soon);
    await foreman.stop();
    expect(String(await ended)).toMatch(/socket hang up|ECONNRESET/);
    expect(foreman.counts()).toEqual({});
    expect(foreman.requests[0]?.status).toBeUndefined();
  });

  it('takes in and loses its answer as told, so that the retry is a double delivery', async () => {
    const foreman = await start({ onCallback: (n) => (n === 1 ? { isDisconnected: true, isProcessed: true } : undefined) });
    await expect(post(foreman, callback('a'))).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect((await post(foreman, callback('a'))).status).toBe(200);
    expect(foreman.counts()).toEqual({ a: 2 });
    expect(foreman.rowsOf('a')).toHaveLength(2);
  });

  it('shows the callback to whoever decides', async () => {
    const foreman = await start({ onCallback: (_, request) => (request.entries[0]?.taskId === 'a' ? { status: 502 } : undefined) });
    expect((await post(foreman, callback('a'))).status).toBe(502);
    expect((await post(foreman, callback('b'))).status).toBe(200);
  });

  it('measures how many requests are open at one time', async () => {
    const foreman = await start({ onCallback: (n) => (n < 3 ? { delayMs: 50 } : undefined) });
    await Promise.all(['a', 'b'].map((taskId) => post(foreman, callback(taskId))));
    await post(foreman, callback('c'));
    expect(foreman.maxConcurrentRequests).toBe(2);
  });
});

describe('stop and restart', () => {
  it('refuses connections in between, listens on the same port again and remembers', async () => {
    const foreman = await start();
    const { port, url } = foreman;
    await post(foreman, callback('a'));

    await foreman.stop();
    await foreman.stop();
    await expect(post(foreman, callback('b'))).rejects.toThrow(/ECONNREFUSED/);

    await foreman.restart();
    expect([foreman.port, foreman.url]).toEqual([port, url]);
    await post(foreman, callback('b'));
    expect(foreman.counts()).toEqual({ a: 1, b: 1 });
    expect(foreman.resultOf('a')).toBe('success');
  });

  it('listens where it is told to', async () => {
    const first = await start();
    await first.stop();
    const second = await start({ port: first.port });
    expect(second.port).toBe(first.port);
  });
});

describe('waiting', () => {
  it('resolves for what is there and for what comes', async () => {
    const foreman = await start();
    const coming = foreman.waitForCallback('a', soon);
    await post(foreman, callback('a'));
    expect((await coming).data['exit_status']).toBe(0);
    expect(await foreman.waitForCallback('a', { timeoutMs: 1 })).toBe(await coming);
  });

  it('waits for all of many', async () => {
    const foreman = await start();
    const tasks = ['a', 'b', 'c'];
    const all = foreman.waitForCallbacks(tasks, soon);
    await Promise.all(tasks.map((taskId) => post(foreman, callback(taskId))));
    await all;
    expect(foreman.counts()).toEqual({ a: 1, b: 1, c: 1 });
  });

  it('says what was seen instead when it takes too long', async () => {
    const foreman = await start({ onCallback: (n) => (n === 1 ? { status: 500 } : undefined) });
    await post(foreman, callback('a'));
    await post(foreman, callback('b'));
    await expect(foreman.waitForCallback('a', { timeoutMs: 10 })).rejects.toThrow(
      'waited 10 ms for a callback for task a; 1 callbacks came, 2 requests in all, 1 of them not taken in',
    );
    await expect(foreman.waitForCallbacks(['a', 'b'], { timeoutMs: 10 })).rejects.toThrow('1 missing, a among them');
  });
});
