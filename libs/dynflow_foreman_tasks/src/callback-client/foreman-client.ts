import { readFile } from 'node:fs/promises';
import PQueue from 'p-queue';
import { Pool } from 'undici';
import { isJsonObject, messageOf, type JsonValue } from '@dynflow/kernel';
import { ForemanRefusal, concernsCertificates, refusalOfError, refusalOfStatus } from './foreman-errors.js';

/** PEM files: what Foreman is to know us by, and the authority of its own certificate (those of Node.js unless given). */
export interface ForemanTlsFiles {
  cert?: string | null;
  key?: string | null;
  ca?: string | null;
}

export interface ForemanClientOptions {
  /** Foreman's address; a path in it is kept. */
  url: string;
  tls?: ForemanTlsFiles;
  /** For one callback, from the moment that it is sent to the end of the answer. 60 s unless given. */
  timeoutMs?: number;
}

/** Delivers callbacks to one Foreman over kept connections, at most eight at once; more wait their turn. */
export interface ForemanClient {
  /**
   * Delivers a body once, without a retry of its own.
   *
   * @throws ForemanRefusal for everything but HTTP 200.
   */
  postCallback(body: JsonValue): Promise<{ status: 200 }>;

  /** Waits for what is on its way and closes the connections. What has not been sent is refused as unreachable. */
  close(): Promise<void>;
}

const callbackPath = '/foreman_tasks/api/tasks/callback';
const mostAtOnce = 8;
const connectTimeoutMs = 10_000;
/** As much of a refusal's body is read for its text; the connection of a longer one is given up. */
const readOfRefusalBytes = 64 * 1_024;
const longestSaid = 300;

export function createForemanClient(options: ForemanClientOptions): ForemanClient {
  return new UndiciForemanClient(options);
}

class UndiciForemanClient implements ForemanClient {
  readonly #origin: string;
  readonly #path: string;
  readonly #tls: ForemanTlsFiles;
  readonly #timeoutMs: number;
  readonly #queue = new PQueue({ concurrency: mostAtOnce });
  #pool: Promise<Pool> | null = null;
  #isClosed = false;

  constructor({ url, tls = {}, timeoutMs = 60_000 }: ForemanClientOptions) {
    const parsed = new URL(url);
    this.#origin = parsed.origin;
    this.#path = `${parsed.pathname.replace(/\/+$/, '')}${callbackPath}`;
    this.#tls = tls;
    this.#timeoutMs = timeoutMs;
  }

  async postCallback(body: JsonValue): Promise<{ status: 200 }> {
    const text = JSON.stringify(body);
    return this.#queue.add(() => this.#post(text));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#queue.onIdle();
    const pool = this.#pool;
    this.#pool = null;
    await (await pool)?.close();
  }

  async #post(body: string): Promise<{ status: 200 }> {
    if (this.#isClosed) {
      throw new ForemanRefusal('DYN_FOREMAN_UNREACHABLE', 'The callback was not sent: this service is stopping.', { retryable: true });
    }
    const connecting = (this.#pool ??= this.#connect());
    try {
      return await this.#send(await connecting, body);
    } catch (error) {
      const refusal = refusalOfError(error, { origin: this.#origin, timeoutMs: this.#timeoutMs });
      if (concernsCertificates(refusal) && this.#pool === connecting) {
        // Certificates are renewed while this process runs: the next callback reads the files again.
        this.#pool = null;
        connecting.then(
          (pool) => void pool.close(),
          () => undefined,
        );
      }
      throw refusal;
    }
  }

  async #send(pool: Pool, body: string): Promise<{ status: 200 }> {
    const answer = await pool.request({
      method: 'POST',
      path: this.#path,
      headers: { 'content-type': 'application/json', accept: 'application/json,version=2', 'user-agent': 'dynflow_foreman_tasks' },
      body,
      // The pool's own limits restart with each byte.
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const { statusCode } = answer;
    if (statusCode === 200) {
      await answer.body.dump({ limit: readOfRefusalBytes });
      return { status: 200 };
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= readOfRefusalBytes) {
        break;
      }
    }
    const location = [answer.headers['location'] ?? ''].flat()[0] ?? '';
    throw refusalOfStatus(statusCode, { said: saidIn(Buffer.concat(chunks).toString('utf8')), location: inLine(location) });
  }

  async #connect(): Promise<Pool> {
    const [cert, key, ca] = await Promise.all([this.#tls.cert, this.#tls.key, this.#tls.ca].map((path) => readPem(path)));
    return new Pool(this.#origin, {
      connections: mostAtOnce,
      headersTimeout: this.#timeoutMs,
      bodyTimeout: this.#timeoutMs,
      connect: {
        timeout: Math.min(connectTimeoutMs, this.#timeoutMs),
        minVersion: 'TLSv1.2',
        ...(cert === null || cert === undefined ? {} : { cert }),
        ...(key === null || key === undefined ? {} : { key }),
        ...(ca === null || ca === undefined ? {} : { ca }),
      },
    });
  }
}

async function readPem(path: string | null | undefined): Promise<Buffer | null> {
  if (path === null || path === undefined) {
    return null;
  }
  try {
    return await readFile(path);
  } catch (error) {
    throw new ForemanRefusal(
      'DYN_FOREMAN_TLS',
      `The callback was not sent, because a certificate file cannot be read: ${messageOf(error)}`,
      {
        retryable: true,
        cause: error,
      },
    );
  }
}

/** The text in an answer of Foreman's API; a page of HTML says nothing that belongs in one line. */
function saidIn(body: string): string {
  let value: JsonValue;
  try {
    value = JSON.parse(body) as JsonValue;
  } catch {
    return '';
  }
  const error = isJsonObject(value) ? (value['error'] ?? value['message'] ?? '') : '';
  const said = isJsonObject(error) ? (error['message'] ?? JSON.stringify(error)) : error;
  return typeof said === 'string' ? inLine(said) : '';
}

/** Short, on one line, without control characters. */
function inLine(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return line.length > longestSaid ? `${line.slice(0, longestSaid)}…` : line;
}
