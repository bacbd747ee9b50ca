import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '@dynflow/kernel';

export type TlsFile = 'cert' | 'key' | 'ca';

export interface TlsFileFinding {
  file: TlsFile;
  /** Continues the name of the setting: "expected …" or "ends on …". */
  problem: string;
}

export interface TlsFilesCheck {
  problems: TlsFileFinding[];
  warnings: TlsFileFinding[];
}

const soonMs = 30 * 86_400_000;

/** Reads PEM files as a TLS server or client would, so that what is wrong with them is said at start; null is not checked. */
export function checkTlsFiles(paths: Readonly<Record<TlsFile, string | null>>, nowMs: number = Date.now()): TlsFilesCheck {
  const check: TlsFilesCheck = { problems: [], warnings: [] };
  const cert = read(check, paths, 'cert', firstCertificate);
  const key = read(check, paths, 'key', (pem) => createPrivateKey(pem));
  read(check, paths, 'ca', firstCertificate);
  if (cert !== undefined && key !== undefined && !belongTogether(cert, key)) {
    check.problems.push({ file: 'key', problem: 'expected the private key of the certificate, but it is the key of another' });
  }
  if (cert !== undefined) {
    const endsMs = Date.parse(cert.validTo);
    if (endsMs < nowMs) {
      check.warnings.push({ file: 'cert', problem: `ended on ${new Date(endsMs).toISOString()}: the other side will refuse it` });
    } else if (endsMs < nowMs + soonMs) {
      check.warnings.push({ file: 'cert', problem: `ends soon, on ${new Date(endsMs).toISOString()}` });
    }
  }
  return check;
}

function read<Content>(
  check: TlsFilesCheck,
  paths: Readonly<Record<TlsFile, string | null>>,
  file: TlsFile,
  parse: (pem: Buffer) => Content,
): Content | undefined {
  const path = paths[file];
  if (path === null) {
    return undefined;
  }
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    check.problems.push({ file, problem: `expected a file that can be read (${codeOf(error)})` });
    return undefined;
  }
  try {
    return parse(content);
  } catch (error) {
    const what = file === 'key' ? 'a private key in PEM form without a passphrase' : 'a certificate in PEM form';
    check.problems.push({ file, problem: `expected ${what} (${messageOf(error)})` });
    return undefined;
  }
}

function firstCertificate(pem: Buffer): X509Certificate {
  return new X509Certificate(pem);
}

function belongTogether(cert: X509Certificate, key: KeyObject): boolean {
  try {
    return cert.checkPrivateKey(key);
  } catch {
    // Keys of different kinds are not compared but refused.
    return false;
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
  return code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : code === 'EISDIR' ? 'it is a directory' : code;
}
