import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProxyAnswerError, ProxyClient } from './proxy-client.js';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: Server;
let baseUrl: string;
let seen: Seen[];
/** What the server answers to everything. */
let answer: { status: number; body: unknown };

beforeEach(async () => {
  seen = [];
  answer = { status: 200, body: {} };
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
});

const document = { state: 'running', result: 'pending', actions: [] };

describe('ProxyClient', () => {
  it('launches a batch as Foreman does', async () => {
    answer.body = { parent: { result: 'success', task_id: 'the-parent' } };
    const launch = await new ProxyClient(`${baseUrl}/`).launch([{ hostname: 'h', script: 'true\n' }]);

    expect(launch).toMatchObject({ status: 200, parentId: 'the-parent', answer: answer.body });
    expect(launch.hosts).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/dynflow/tasks/launch' });
    expect(seen[0]?.headers).toMatchObject({ accept: 'application/json', 'content-type': 'application/json' });
    expect(seen[0]?.headers['x-request-id']).toMatch(/^[0-9a-f]{64}$/);
    const sent = JSON.parse(seen[0]?.body ?? '') as { input: Record<string, { action_input: { proxy_url: string } }> };
    expect(sent).toEqual(launch.payload);
    expect(Object.values(sent.input)[0]?.action_input.proxy_url).toBe(baseUrl);
  });

  it('gives back a refused launch without throwing', async () => {
    answer = { status: 404, body: { error: 'no such operation' } };
    const launch = await new ProxyClient(baseUrl).launch([{ hostname: 'h', script: 's' }], { operation: 'bogus' });
    expect(launch).toMatchObject({ status: 404, parentId: undefined, answer: { error: 'no such operation' } });
  });

  it('launches a single action with a callback of its own', async () => {
    answer.body = { result: 'success', task_id: 'x' };
    const { taskId, status } = await new ProxyClient(baseUrl, { prefix: '' }).launchSingle('Some::Action', { a: 1 });
    expect(status).toBe(200);
    expect(seen[0]?.url).toBe('/tasks/launch');
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      operation: 'single',
      input: { action_input: { callback: { task_id: taskId, step_id: 3 }, a: 1 }, action_class: 'Some::Action' },
      options: {},
    });
  });

  it('asks for status, counts and operations', async () => {
    const client = new ProxyClient(baseUrl);
    answer.body = document;
    expect(await client.status('a/b')).toEqual(document);
    answer.body = { a: document };
    expect(await client.statuses(['a', 'b'])).toEqual({ a: document });
    answer.body = { a: { state: 'stopped', result: 'success' } };
    expect(await client.states(['a', null])).toEqual(answer.body);
    answer.body = { count: 4, state: 'running' };
    expect(await client.count()).toBe(4);
    answer.body = ['single', 'ssh'];
    expect(await client.operations()).toEqual(['single', 'ssh']);
    answer.body = { task_id: 'a', canceled_steps_count: 2 };
    expect(await client.cancel('a')).toBe(2);

    expect(seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['GET', '/dynflow/tasks/a%2Fb/status', ''],
      ['POST', '/dynflow/tasks/statuses', '{"task_ids":["a","b"]}'],
      ['POST', '/dynflow/tasks/status', '{"task_ids":["a",null]}'],
      ['GET', '/dynflow/tasks/count?state=running', ''],
      ['GET', '/dynflow/tasks/operations', ''],
      ['POST', '/dynflow/tasks/a/cancel', ''],
    ]);
  });

  it('takes 404 for a plan that the proxy does not know', async () => {
    answer = { status: 404, body: {} };
    expect(await new ProxyClient(baseUrl).status('a')).toBeUndefined();
  });

  it.each([
    ['status', (client: ProxyClient) => client.status('a')],
    ['statuses', (client: ProxyClient) => client.statuses(['a'])],
    ['states', (client: ProxyClient) => client.states(['a'])],
    ['cancel', (client: ProxyClient) => client.cancel('a')],
    ['count', (client: ProxyClient) => client.count()],
    ['operations', (client: ProxyClient) => client.operations()],
  ])('throws when %s is answered with something else', async (_, ask) => {
    const client = new ProxyClient(baseUrl);
    answer = { status: 200, body: { a: 1 } };
    await expect(ask(client)).rejects.toThrow(ProxyAnswerError);
    answer = { status: 500, body: { a: document } };
    await expect(ask(client)).rejects.toThrow(/HTTP 500/);
  });

  it('waits for a status, and gives the last one when it takes too long', async () => {
    const client = new ProxyClient(baseUrl);
    answer.body = document;
    const stopped = client.waitForStatus('a', ({ state }) => state === 'stopped', { timeoutMs: 5_000 });
    answer.body = { ...document, state: 'stopped' };
    expect((await stopped).state).toBe('stopped');
    await expect(client.waitForStatus('a', ({ state }) => state === 'paused', { timeoutMs: 30 })).rejects.toThrow(/"state":"stopped"/);
  });
});
