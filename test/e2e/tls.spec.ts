import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyClient, makeCertificates } from '@dynflow/testing';
import type { CertificateFiles, Certificates, HttpAnswer } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startGatewayProcess } from '../support/gateway-process.js';
import type { GatewayProcess } from '../support/gateway-process.js';

let dir = '';
let certificates: Certificates;
let foreman: CertificateFiles;
let stranger: CertificateFiles;
let forged: CertificateFiles;
let gateway: GatewayProcess;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dynflow-e2e-'));
  certificates = await makeCertificates(join(dir, 'ours'), {
    server: { commonName: 'localhost', dnsNames: ['localhost', 'proxy.example.test'], addresses: ['127.0.0.1'] },
  });
  foreman = await certificates.issue('foreman', { commonName: 'Foreman.Example.Test' });
  stranger = await certificates.issue('stranger', { commonName: 'stranger.example.test' });
  const others = await makeCertificates(join(dir, 'theirs'), { client: { commonName: 'foreman.example.test' } });
  forged = { ...others.client, ca: certificates.ca };
  gateway = await startGatewayProcess({
    env: {
      DYNFLOW_SSL_CERT: certificates.server.cert,
      DYNFLOW_SSL_KEY: certificates.server.key,
      DYNFLOW_SSL_CA: certificates.ca,
      DYNFLOW_TRUSTED_HOSTS: 'foreman.example.test,other.example.test',
      DYNFLOW_PLUGINS: 'dynflow_foreman_tasks',
    },
  });
});
afterEach(() => gateway.expectSound());
afterAll(async () => {
  await gateway.stop();
  await rm(dir, { recursive: true, force: true });
});

const as = (files: { ca: string } & Partial<CertificateFiles>): ProxyClient => new ProxyClient(gateway.url, { prefix: '', tls: files });
const launch = (files: { ca: string } & Partial<CertificateFiles>): Promise<HttpAnswer> =>
  as(files).post('/tasks/launch', { operation: 'single', input: { action_class: 'dynflow_api.Noop', action_input: {} } });

describe('over HTTPS', () => {
  test('the trusted host launches and looks, whatever the case of its name', async () => {
    expect(gateway.url).toMatch(/^https:/);
    expect(await launch(foreman)).toMatchObject({ status: 200, body: { result: 'success' } });
    expect(await as(foreman).count('all')).toBe(1);
    expect(await as(foreman).send('GET', '/v2/features')).toMatchObject({ status: 200 });
  });

  test.each<[string, () => { ca: string } & Partial<CertificateFiles>, RegExp]>([
    ['without a certificate', () => ({ ca: certificates.ca }), /certificate/i],
    ['with a certificate for a name that is not listed', () => stranger, /stranger\.example\.test/],
    ['with a certificate of another authority', () => forged, /certificate/i],
  ])('who comes %s is refused where work is launched or seen, and let in where anybody may', async (_, files, words) => {
    const before = await as(foreman).count('all');
    for (const path of ['/tasks/launch', '/dynflow/tasks/launch', '/tasks', '/tasks/status', '/tasks/x/cancel']) {
      const answer = await as(files()).send('POST', path, { rawBody: '{}' });
      expect(answer).toMatchObject({ status: 403, body: { error: expect.stringMatching(words) as string } });
    }
    for (const path of ['/tasks/count', '/tasks/operations', '/tasks/x/status', '/v2/features']) {
      expect(await as(files()).send('GET', path)).toMatchObject({ status: 403 });
    }
    expect(await launch(files())).toMatchObject({ status: 403 });
    for (const path of ['/features', '/version', '/healthz', '/readyz']) {
      expect(await as(files()).send('GET', path)).toMatchObject({ status: 200 });
    }
    expect(await as(foreman).count('all')).toBe(before);
  });

  test('what jobs on hosts report needs their password, not a certificate', async () => {
    const answer = await as({ ca: certificates.ca }).send('POST', '/tasks/x/update', {
      rawBody: '{}',
      headers: { authorization: 'Basic eDp5' },
    });
    expect(answer).toMatchObject({ status: 403, body: { error: 'Invalid username or password supplied' } });
  });

  test('a name in the Host header is the caller’s business', async () => {
    const headers = { host: 'proxy.example.test:9090' };
    expect(await as(foreman).send('GET', '/tasks/count', { headers })).toMatchObject({ status: 200 });
  });

  test('plain HTTP is not served there', async () => {
    const plain = new ProxyClient(gateway.url.replace('https:', 'http:'), { prefix: '' });
    await expect(plain.send('GET', '/features')).rejects.toThrow(/ECONNRESET|socket hang up|Parse Error/);
  });
});
