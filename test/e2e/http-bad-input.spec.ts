import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { isJsonObject } from '@dynflow/kernel';
import type { JsonValue } from '@dynflow/kernel';
import { ProxyClient } from '@dynflow/testing';
import type { HttpAnswer } from '@dynflow/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { useGateway } from '../support/use-gateway.js';

const gateway = useGateway({ DYNFLOW_MAX_BODY: '64KiB' });
const client = (prefix: '' | '/dynflow' = ''): ProxyClient => new ProxyClient(gateway().url, { prefix });
const plan = randomUUID();
const at = `input.${plan}`;

/** A batch for one host, with these words in its job. */
const ssh = (words: JsonValue): JsonValue => ({ operation: 'ssh', input: { [plan]: { action_class: 'any', action_input: words } } });
const job = { hostname: 'host.invalid', script: 'true' };

let plansBefore = 0;
beforeEach(async () => {
  plansBefore = await client().count('all');
});
// Whatever was refused has left nothing behind.
afterEach(async () => {
  expect(await client().count('all')).toBe(plansBefore);
});

/** Refused: a 4xx with JSON that says what is wrong, and nothing of our insides. */
function expectRefusal(answer: HttpAnswer, status: number, field?: string): void {
  expect(answer).toMatchObject({ status });
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  expect(isJsonObject(answer.body) && answer.body['error']).toMatch(/\w+/);
  expect(answer.text).not.toMatch(/\bat .*:\d+:\d+|node_modules|\/dist\/|\.js\b/);
  expect(answer.body).toMatchObject(field === undefined ? {} : { field });
}

describe('a launch is refused whose body', () => {
  test.each([
    ['is cut off', '{"operation":', 400],
    ['is empty', '', 400],
    ['is not UTF-8', Buffer.from([0xff, 0xfe, 0x7b]).toString('latin1'), 400],
    ['is HTML', '<html></html>', 400],
    ['is an array', '[1]', 422],
    ['is text', '"launch"', 422],
    ['is null', 'null', 422],
    ['is nested too deep', `{"operation":"single","input":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 422],
    ['is nested too deep in objects', `${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}`, 422],
  ])('%s', async (_, rawBody, status) => {
    for (const prefix of ['', '/dynflow'] as const) {
      expectRefusal(await client(prefix).send('POST', '/tasks/launch', { rawBody }), status, 'body');
    }
  });

  test('is broken, without repeating what stands in it', async () => {
    const answer = await client().send('POST', '/tasks/launch', { rawBody: '{"secrets":{"ssh_password":hunter2}}' });
    expectRefusal(answer, 400, 'body');
    expect(answer.text).not.toContain('hunter');
  });

  test('is larger than the service takes', async () => {
    const rawBody = JSON.stringify({ operation: 'single', input: { text: 'x'.repeat(100_000) } });
    expectRefusal(await client().send('POST', '/tasks/launch', { rawBody }), 413);
  });

  test('turns out larger while it comes in chunks', async () => {
    const head = 'POST /tasks/launch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    const answer = await sendRaw(`${head}${(100_000).toString(16)}\r\n${' '.repeat(100_000)}\r\n0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/\{"error":"[^"]+/);
  });

  test.each<[string, JsonValue, string]>([
    ['names no operation', { input: {} }, 'operation'],
    ['names an operation that is no text', { operation: 5, input: {} }, 'operation'],
    ['names an empty operation', { operation: '', input: {} }, 'operation'],
    ['has no input', { operation: 'ssh' }, 'input'],
    ['has null for input', { operation: 'ssh', input: null }, 'input'],
    ['has an array for input', { operation: 'ssh', input: [] }, 'input'],
    ['has a key that is no plan id', { operation: 'ssh', input: { abc: { action_input: job } } }, 'input.abc'],
    ['has a host without words', { operation: 'ssh', input: { [plan]: null } }, at],
    ['has a host without action_input', { operation: 'ssh', input: { [plan]: {} } }, `${at}.action_input`],
    ['has one good host and a bad one', { operation: 'ssh', input: { [randomUUID()]: { action_input: job }, [plan]: 5 } }, at],
    ['has a job without hostname', ssh({ script: 'true' }), `${at}.action_input.hostname`],
    ['has a job with an empty hostname', ssh({ ...job, hostname: '' }), `${at}.action_input.hostname`],
    ['has a job with a list for hostname', ssh({ ...job, hostname: ['h'] }), `${at}.action_input.hostname`],
    ['has a job without script', ssh({ hostname: 'h' }), `${at}.action_input.script`],
    ['has a job with a number for script', ssh({ ...job, script: 5 }), `${at}.action_input.script`],
    ['has a job with ssh_port abc', ssh({ ...job, ssh_port: 'abc' }), `${at}.action_input.ssh_port`],
    ['has a job with ssh_port 70000', ssh({ ...job, ssh_port: 70_000 }), `${at}.action_input.ssh_port`],
    ['has a job with ssh_port 70000 as text', ssh({ ...job, ssh_port: '70000' }), `${at}.action_input.ssh_port`],
    ['has a job with ssh_port 1.5', ssh({ ...job, ssh_port: 1.5 }), `${at}.action_input.ssh_port`],
    ['has a job with a number for effective_user', ssh({ ...job, effective_user: 7 }), `${at}.action_input.effective_user`],
    [
      'has a job with a word for its time limit',
      ssh({ ...job, execution_timeout_interval: 'soon' }),
      `${at}.action_input.execution_timeout_interval`,
    ],
    ['has a job with text for secrets', ssh({ ...job, secrets: 'hunter2' }), `${at}.action_input.secrets`],
    [
      'has a job with a number for a password',
      ssh({ ...job, secrets: { ssh_password: 12_345 } }),
      `${at}.action_input.secrets.ssh_password`,
    ],
    ['has a job with text for callback', ssh({ ...job, callback: 'x' }), `${at}.action_input.callback`],
    ['has a job with a callback for no task', ssh({ ...job, callback: {} }), `${at}.action_input.callback.task_id`],
    ['has a single job of no class', { operation: 'single', input: { action_input: {} } }, 'input.action_class'],
    [
      'has a single job of an unknown class',
      { operation: 'single', input: { action_class: '__proto__', action_input: {} } },
      'input.action_class',
    ],
    ['has a single job without action_input', { operation: 'single', input: { action_class: 'dynflow_api.Noop' } }, 'input.action_input'],
    [
      'has a single job whose input does not fit its class',
      { operation: 'single', input: { action_class: 'dynflow_api.Sleep', action_input: { forMs: 'long' } } },
      'input.action_input.forMs',
    ],
  ])('%s', async (_, body, field) => {
    for (const prefix of ['', '/dynflow'] as const) {
      const answer = await client(prefix).post('/tasks/launch', body);
      expectRefusal(answer, 422, field);
      expect(answer.text).not.toMatch(/hunter2|12345/);
    }
  });

  test.each(['bogus', '__proto__', 'constructor', '../ssh'])('names the unknown operation %s', async (operation) => {
    expectRefusal(await client().post('/tasks/launch', { operation, input: {} }), 404);
  });
});

describe('other routes refuse', () => {
  const unknown = randomUUID();
  test.each<[string, string, string | undefined, number, string | undefined]>([
    ['POST', '/tasks', '{}', 422, 'action_name'],
    ['POST', '/tasks', '{"action_name":"dynflow_api.Noop"}', 422, 'action_input'],
    ['POST', '/tasks/', '{"action_name":"No::Such","action_input":{}}', 422, 'action_name'],
    ['POST', '/tasks/status', '{"task_ids":"x"}', 422, 'task_ids'],
    ['POST', '/tasks/status', '[]', 422, 'body'],
    ['POST', '/tasks/statuses', '{"task_ids":{}}', 422, 'task_ids'],
    ['POST', '/tasks/statuses', '', 400, 'body'],
    ['POST', `/tasks/${unknown}/cancel`, '', 404, undefined],
    ['POST', '/tasks/no-uuid/cancel', 'not JSON', 404, undefined],
    ['POST', `/tasks/${unknown}/update`, '{}', 404, undefined],
    ['POST', `/tasks/${unknown}/done`, '{}', 404, undefined],
    ['PUT', '/tasks/launch', '{}', 404, undefined],
    ['PATCH', '/tasks', '{}', 404, undefined],
    ['DELETE', `/tasks/${unknown}`, undefined, 404, undefined],
    ['OPTIONS', '/tasks/launch', undefined, 404, undefined],
    ['GET', '/tasks/launch', undefined, 404, undefined],
    ['GET', '/tasks/%ff/status', undefined, 400, undefined],
    ['POST', '/nope', 'not JSON', 404, undefined],
  ])('%s %s with %s: %i', async (method, path, rawBody, status, field) => {
    expectRefusal(await client('/dynflow').send(method, path, rawBody === undefined ? {} : { rawBody }), status, field);
  });

  test.each([`/tasks/${unknown}/status`, '/tasks/not-a-uuid/status', '/tasks/%00/status', `/tasks/${'a'.repeat(300)}/status`])(
    'no status of an unknown id: %s is 404 with {}',
    async (path) => {
      expect(await client().send('GET', path)).toMatchObject({ status: 404, body: {} });
    },
  );

  test('bodies whatever their content type says are read as what they are', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const headers = { 'content-type': type };
      const answer = await client().send('POST', '/tasks/launch', { rawBody: '{"operation":"bogus","input":{}}', headers });
      expectRefusal(answer, 404);
      expect(answer.text).toContain('bogus');
    }
  });

  test.each(['bogus', ''])('the content type "%s", which is none', async (type) => {
    const headers = { 'content-type': type };
    expectRefusal(await client().send('POST', '/tasks/launch', { rawBody: '{}', headers }), 415);
  });
});

describe('a page of somebody else’s in a browser on this machine', () => {
  test.each([
    ['its origin', { origin: 'https://evil.example' }],
    ['an origin that is hidden', { origin: 'null' }],
    ['its own name for this address', { host: 'evil.example' }],
    ['a name that begins like ours', { host: 'localhost.evil.example:8008' }],
    ['a broken name', { host: '[::1' }],
  ])('cannot launch or look: %s', async (_, headers) => {
    for (const [method, path] of [
      ['POST', '/tasks/launch'],
      ['GET', '/tasks/count'],
      ['GET', '/tasks/operations'],
      ['GET', '/metrics'],
    ] as const) {
      const rawBody = JSON.stringify({ operation: 'single', input: { action_class: 'dynflow_api.Noop', action_input: {} } });
      expectRefusal(await client().send(method, path, { headers, ...(method === 'POST' ? { rawBody } : {}) }), 403);
    }
  });

  test.each(['localhost', '127.0.0.1', '[::1]'])('is not who asks for %s', async (host) => {
    expect(await client().send('GET', '/tasks/count', { headers: { host } })).toMatchObject({ status: 200 });
  });
});

describe('what is no HTTP', () => {
  test.each([
    ['a word', 'GARBAGE\r\n\r\n'],
    ['a length that is no number', 'POST /tasks/launch HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n'],
    ['no host', 'GET /tasks/count HTTP/1.1\r\n\r\n'],
    ['headers without end', `GET /tasks/count HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`],
  ])('%s: is answered with a 4xx and the service goes on', async (_, text) => {
    expect(await sendRaw(text)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(await client().send('GET', '/healthz', { isAbsolute: true })).toMatchObject({ status: 200 });
  });
});

/** Sends bytes as they are and gives back everything until the server ends the connection. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(gateway().url);
    let answer = '';
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text));
    socket.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
    socket.once('close', () => resolve(answer));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' && answer !== '' ? resolve(answer) : reject(error),
    );
  });
}
