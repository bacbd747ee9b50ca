import { randomUUID } from 'node:crypto';
import { isJsonObject } from '@dynflow/kernel';
import { ProxyClient } from '@dynflow/testing';
import { describe, expect, test } from 'vitest';
import { fixtureNames, loadExchange, replay } from '../support/fixtures.js';
import type { Variables } from '../support/fixtures.js';
import { useGateway } from '../support/use-gateway.js';

const exchanges = fixtureNames('http').filter((name) => !name.startsWith('ssh-') && name !== 'single-noop.stopped');

describe('a service that has all it needs', () => {
  const gateway = useGateway();

  describe.each(['', '/dynflow'] as const)('under the prefix "%s"', (prefix) => {
    const client = (): ProxyClient => new ProxyClient(gateway().url, { prefix });

    /** A plan that has run, as the exchanges need one that is known. */
    const stoppedPlan = async (): Promise<Variables> => {
      const noop = { noop_class: 'dynflow_api.Noop', unknown: randomUUID() };
      const { body } = await replay(client(), 'single-noop.launch', noop);
      const child = isJsonObject(body) ? String(body['task_id']) : '';
      await client().waitForStatus(child, ({ state }) => state === 'stopped', { timeoutMs: 20_000 });
      return { ...noop, child };
    };

    test.each(exchanges)('%s is answered as by a smart proxy, or better', async (name) => {
      const { expect: theirs, improved = theirs } = loadExchange(name);
      expect(await replay(client(), name, await stoppedPlan())).toMatchObject({ status: improved.status });
    });

    test('a plan of one action has the document that it has at a smart proxy', async () => {
      expect(await replay(client(), 'single-noop.stopped', await stoppedPlan())).toMatchObject({ status: 200 });
    });

    test('the count of plans follows what is launched', async () => {
      const before = await client().count('all');
      await stoppedPlan();
      expect(await client().count('all')).toBe(before + 1);
      expect(await client().count('running')).toBe(0);
    });
  });

  test('says that it lives, that it is ready, and how it is', async () => {
    const client = new ProxyClient(gateway().url);
    const get = (path: string): ReturnType<ProxyClient['send']> => client.send('GET', path, { isAbsolute: true });
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await get('/readyz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    const metrics = await get('/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(metrics.text).toMatch(/^dynflow_operation_available\{operation="ssh"[^}]*\} 1$/m);
  });

  test('gives out the public key that hosts have to accept', async () => {
    const answer = await new ProxyClient(gateway().url).send('GET', '/ssh/pubkey', { isAbsolute: true });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.text).toMatch(/^ssh-ed25519 [A-Za-z0-9+/=]+ /);
  });
});

describe('a service without its SSH key', () => {
  const key = '/no/such/id_ed25519';
  const gateway = useGateway({ DYNFLOW_REMOTE_EXECUTION_SSH_IDENTITY_KEY_FILE: key }, { allowedErrors: [/\/no\/such\/id_ed25519/] });

  test('does not offer what it cannot do, and says why', async () => {
    const client = new ProxyClient(gateway().url);
    const get = (path: string): ReturnType<ProxyClient['send']> => client.send('GET', path, { isAbsolute: true });
    expect((await get('/features')).body).toEqual(['dynflow']);
    const reason = expect.stringContaining(key) as string;
    expect((await get('/v2/features')).body).toMatchObject({ script: { state: 'failed', settings: { reason } } });
    expect(await client.operations()).toEqual(['single']);
    const launch = await client.launch([{ hostname: 'host.invalid', script: 'true' }]);
    expect(launch).toMatchObject({ status: 503, answer: { code: 'DYN_OPERATION_BROKEN', error: reason } });
    expect(await client.count('all')).toBe(0);
  });
});
