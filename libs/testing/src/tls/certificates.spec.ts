import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificates } from './certificates.js';
import type { CertificateFiles } from './certificates.js';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'certificates-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function read(files: CertificateFiles): Promise<{ ca: X509Certificate; cert: X509Certificate; isKeyOfCert: boolean }> {
  const cert = new X509Certificate(await readFile(files.cert));
  const key = createPrivateKey(await readFile(files.key));
  return { ca: new X509Certificate(await readFile(files.ca)), cert, isKeyOfCert: cert.checkPrivateKey(key) };
}

describe('makeCertificates', () => {
  it('makes an authority and certificates that it signed, with the default names', async () => {
    const certificates = await makeCertificates(join(dir, 'new'));

    const server = await read(certificates.server);
    expect(server.ca.ca).toBe(true);
    expect(server.cert.ca).toBe(false);
    expect(server.cert.checkIssued(server.ca)).toBe(true);
    expect(server.cert.verify(server.ca.publicKey)).toBe(true);
    expect(server.isKeyOfCert).toBe(true);
    expect(server.cert.subject).toBe('CN=localhost');
    expect(server.cert.checkHost('localhost')).toBe('localhost');
    expect(server.cert.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.cert.checkIP('::1')).toBe('::1');

    const client = await read(certificates.client);
    expect(client.cert.verify(client.ca.publicKey)).toBe(true);
    expect(client.cert.subject).toBe('CN=proxy.example.test');
  });

  it('takes the names that it is given', async () => {
    const certificates = await makeCertificates(dir, {
      server: { commonName: 'foreman.example.test', dnsNames: ['foreman.example.test', 'other.example.test'], addresses: ['192.0.2.7'] },
      client: { commonName: 'only a common name, with a comma' },
    });

    const server = await read(certificates.server);
    expect(server.cert.subjectAltName).toBe('DNS:foreman.example.test, DNS:other.example.test, IP Address:192.0.2.7');
    const client = await read(certificates.client);
    expect(client.cert.subject).toBe('CN=only a common name\\, with a comma');
    expect(client.cert.subjectAltName).toBeUndefined();
  });

  it('issues more certificates, which another authority did not sign', async () => {
    const one = await makeCertificates(join(dir, 'one'));
    const other = await makeCertificates(join(dir, 'other'));

    const extra = await read(await one.issue('extra', { commonName: 'extra.example.test' }));
    expect(extra.cert.verify(extra.ca.publicKey)).toBe(true);
    const foreignAuthority = new X509Certificate(await readFile(other.ca));
    expect(extra.cert.verify(foreignAuthority.publicKey)).toBe(false);
  });

  it('lets nobody else read a private key, and holds only for a short time', async () => {
    const certificates = await makeCertificates(dir);

    expect((await stat(certificates.server.key)).mode & 0o777).toBe(0o600);
    const { cert } = await read(certificates.server);
    expect(Date.parse(cert.validFrom)).toBeLessThan(Date.now());
    expect(Date.parse(cert.validTo)).toBeGreaterThan(Date.now() + 24 * 3_600_000);
    expect(Date.parse(cert.validTo)).toBeLessThan(Date.now() + 30 * 24 * 3_600_000);
  });
});
