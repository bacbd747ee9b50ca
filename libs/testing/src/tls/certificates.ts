import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** What a certificate is made for. */
export interface CertificateSubject {
  commonName: string;
  /** Host names of the subject alternative name; none unless given. */
  dnsNames?: readonly string[];
  /** IP addresses of the subject alternative name; none unless given. */
  addresses?: readonly string[];
}

/** Paths of PEM files: the authority to trust, a certificate it signed, and that certificate's private key (PKCS #8, mode 0600). */
export interface CertificateFiles {
  ca: string;
  cert: string;
  key: string;
}

export interface CertificateOptions {
  /** Who the server is; `localhost` with both loopback addresses unless given. */
  server?: CertificateSubject;
  /** Who the client is; `proxy.example.test` unless given. */
  client?: CertificateSubject;
}

export interface Certificates {
  /** Path of the authority's certificate. */
  readonly ca: string;
  readonly server: CertificateFiles;
  readonly client: CertificateFiles;

  /** Signs one more certificate with the same authority, good for both ends of a connection; `name` is its files' name. */
  issue(name: string, subject: CertificateSubject): Promise<CertificateFiles>;
}

const hourMs = 3_600_000;
/** Longer than any test or demonstration runs, short enough that a forgotten key is worth nothing. */
const validForMs = 7 * 24 * hourMs;
const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

/**
 * Makes a throwaway certificate authority with a server's and a client's certificate in `dir`, which is created if missing.
 *
 * Everything is made in this process, without network and without other programs. The authority's private key is never
 * written: it ends with the returned object. Certificates hold for a week and are valid from an hour ago.
 */
export async function makeCertificates(dir: string, options: CertificateOptions = {}): Promise<Certificates> {
  await mkdir(dir, { recursive: true });
  const authority = await makeAuthority(join(dir, 'ca.crt'));
  const issue = (name: string, subject: CertificateSubject): Promise<CertificateFiles> => authority.issue(dir, name, subject);
  const server = await issue(
    'server',
    options.server ?? { commonName: 'localhost', dnsNames: ['localhost'], addresses: ['127.0.0.1', '::1'] },
  );
  const client = await issue('client', options.client ?? { commonName: 'proxy.example.test', dnsNames: ['proxy.example.test'] });
  return { ca: authority.path, server, client, issue };
}

interface Authority {
  readonly path: string;
  issue(dir: string, name: string, subject: CertificateSubject): Promise<CertificateFiles>;
}

async function makeAuthority(path: string): Promise<Authority> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // A name of its own each time: two authorities with one name and different keys confuse chain building.
    name: `CN=Throwaway authority ${serialNumber()}`,
    ...validity(),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFile(path, certificate.toString('pem'));
  return {
    path,
    issue: async (dir, name, subject) => {
      const files = { ca: path, cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
      const own = await makeKeys();
      const signed = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: new x509.Name([{ CN: [subject.commonName] }]).toString(),
        issuer: certificate.subject,
        ...validity(),
        signingAlgorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          await x509.AuthorityKeyIdentifierExtension.create(certificate),
          ...alternativeNames(subject),
        ],
      });
      await writeFile(files.cert, signed.toString('pem'));
      await writeFile(files.key, await privateKeyPem(own), { mode: 0o600 });
      return files;
    },
  };
}

function alternativeNames(subject: CertificateSubject): x509.Extension[] {
  const names: x509.JsonGeneralName[] = [
    ...(subject.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(subject.addresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  return names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)];
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
}

async function privateKeyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - hourMs), notAfter: new Date(now + validForMs) };
}

/** 127 random bits: positive, as the standard demands of a serial number. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return Buffer.from(bytes).toString('hex');
}
