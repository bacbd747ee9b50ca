import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { JsonValue } from '@dynflow/kernel';
import type { CertificateFiles } from '../tls/certificates.js';

/** An answer with its body as text and, if it is JSON, parsed. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: JsonValue | undefined;
}

export interface HttpQuestion {
  method: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent byte for byte; nothing is sent unless given. */
  rawBody?: string;
  /** For https: the authority to trust and, if given, the certificate to show. */
  tls?: { ca: string } & Partial<CertificateFiles>;
  /** Ends the request when nothing came for so long; 30 s unless given. */
  timeoutMs?: number;
}

/** One HTTP exchange on a connection of its own, so that a server that restarts in between is noticed at once and never reused. */
export function exchange(url: string, question: HttpQuestion): Promise<HttpAnswer> {
  const { method, headers = {}, rawBody, tls, timeoutMs = 30_000 } = question;
  const length = rawBody === undefined ? {} : { 'content-length': String(Buffer.byteLength(rawBody)) };
  const options: RequestOptions = { method, agent: false, timeout: timeoutMs, headers: { ...length, ...headers } };
  return new Promise((resolve, reject) => {
    const outgoing = url.startsWith('https:')
      ? httpsRequest(url, { ...options, ...(tls === undefined ? {} : readFiles(tls)) })
      : httpRequest(url, options);
    outgoing.once('error', reject);
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer from ${url} for ${timeoutMs} ms`)));
    outgoing.once('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parseJson(text) });
      });
    });
    outgoing.end(rawBody);
  });
}

function readFiles(files: { ca: string } & Partial<CertificateFiles>): { ca: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ca: readFileSync(files.ca),
    ...(files.cert === undefined ? {} : { cert: readFileSync(files.cert) }),
    ...(files.key === undefined ? {} : { key: readFileSync(files.key) }),
  };
}

function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
