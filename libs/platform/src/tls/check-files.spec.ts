import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates, type Certificates } from '@dynflow/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTlsFiles } from './check-files.js';

const dayMs = 86_400_000;
let dir: string;
let certificates: Certificates;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'check-files-'));
  certificates = await makeCertificates(dir);
});

afterAll(() => rm(dir, { recursive: true }));

describe('checkTlsFiles', () => {
  it('finds nothing in files that fit, but for the day on which they end', () => {
    expect(checkTlsFiles(certificates.server, Date.now() - 30 * dayMs)).toEqual({ problems: [], warnings: [] });
    expect(checkTlsFiles({ cert: null, key: null, ca: null })).toEqual({ problems: [], warnings: [] });

    const soon = checkTlsFiles(certificates.server);
    expect(soon.problems).toEqual([]);
    expect(soon.warnings).toEqual([{ file: 'cert', problem: expect.stringMatching(/^ends soon, on \d{4}-/) as string }]);
    expect(checkTlsFiles(certificates.server, Date.now() + 30 * dayMs).warnings[0]?.problem).toMatch(/^ended on /);
  });

  it('finds files that are missing, are directories, or hold something else', () => {
    const { server } = certificates;

    expect(checkTlsFiles({ ...server, ca: join(dir, 'missing') }).problems).toEqual([
      { file: 'ca', problem: 'expected a file that can be read (no such file)' },
    ]);
    expect(checkTlsFiles({ ...server, ca: dir }).problems[0]?.problem).toContain('it is a directory');
    expect(checkTlsFiles({ ...server, cert: server.key }).problems).toEqual([
      { file: 'cert', problem: expect.stringContaining('expected a certificate in PEM form') as string },
    ]);
    expect(checkTlsFiles({ ...server, key: server.cert }).problems).toEqual([
      { file: 'key', problem: expect.stringContaining('expected a private key in PEM form') as string },
    ]);
  });

  it('finds a key of another certificate, of another kind, and one with a passphrase', async () => {
    const { server, client } = certificates;
    expect(checkTlsFiles({ ...server, key: client.key }).problems).toMatchObject([
      { file: 'key', problem: expect.stringContaining('key of another') as string },
    ]);

    const rsa = join(dir, 'rsa.key');
    await writeFile(rsa, generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(checkTlsFiles({ ...server, key: rsa }).problems).toMatchObject([{ file: 'key' }]);

    const locked = join(dir, 'locked.key');
    const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    await writeFile(locked, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(cipher));
    expect(checkTlsFiles({ ...server, key: locked }).problems[0]?.problem).toContain('without a passphrase');
  });
});
