import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { assertNever } from '@dynflow/kernel';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { parseCallback } from './callback-body.js';
import type { Foreman, ForemanOptions, ForemanRequest, ReceivedCallback } from './foreman.js';
import { HostJobs } from './host-jobs.js';
import type { EventRow, HostResult } from './host-jobs.js';
import { certificateNames, listenOnLoopback, subjectOf } from './tls-peer.js';
import { Waiters } from './wait.js';

const callbackPath = '/foreman_tasks/api/tasks/callback';

/** Starts a stand-in for Foreman on loopback over HTTPS, on a free port unless one is given. */
export async function startForeman(options: ForemanOptions): Promise<Foreman> {
  const foreman = new ForemanServer(options);
  await foreman.restart();
  return foreman;
}

class ForemanServer implements Foreman {
  readonly requests: ForemanRequest[] = [];
  readonly callbacks: ReceivedCallback[] = [];
  maxConcurrentRequests = 0;
  #address: AddressInfo | undefined;
  #server: Server | undefined;
  #open = 0;
  #callbackCount = 0;
  readonly #options: ForemanOptions;
  readonly #jobs = new HostJobs();
  readonly #waiters = new Waiters();
  /** Delayed answers that are still to come, so that a stop ends them with the connections. */
  readonly #delays = new Set<NodeJS.Timeout>();

  constructor(options: ForemanOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#address?.port ?? 0;
  }

  get url(): string {
    const host = this.#address?.family === 'IPv6' ? `[${this.#address.address}]` : this.#address?.address;
    return `https://${host}:${this.port}`;
  }

  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { taskId } of this.callbacks) {
      counts[taskId] = (counts[taskId] ?? 0) + 1;
    }
    return counts;
  }

  rowsOf(taskId: string): readonly EventRow[] {
    return this.#jobs.rowsOf(taskId);
  }

  resultOf(taskId: string): HostResult | undefined {
    return this.#jobs.resultOf(taskId);
  }

  faultsOf(taskId: string): readonly string[] {
    return this.#jobs.faultsOf(taskId);
  }

  observe(taskId: string, document: JsonObject): void {
    this.#jobs.observe(taskId, document);
  }

  waitForCallback(taskId: string, { timeoutMs }: { timeoutMs: number }): Promise<ReceivedCallback> {
    return this.#waiters.until(() => this.callbacks.find((one) => one.taskId === taskId), {
      timeoutMs,
      what: `a callback for task ${taskId}`,
      seen: () => this.#seen(),
    });
  }

  async waitForCallbacks(taskIds: readonly string[], { timeoutMs }: { timeoutMs: number }): Promise<void> {
    const missing = new Set(taskIds);
    let checked = 0;
    await this.#waiters.until(
      () => {
        // Only what is new is looked at: hundreds of tasks would otherwise be searched for at each of hundreds of callbacks.
        for (; checked < this.callbacks.length; checked += 1) {
          missing.delete(this.callbacks[checked]?.taskId ?? '');
        }
        return missing.size === 0 ? true : undefined;
      },
      {
        timeoutMs,
        what: `callbacks for ${taskIds.length} tasks`,
        seen: () => `${missing.size} missing, ${[...missing].slice(0, 3).join(', ')} among them; ${this.#seen()}`,
      },
    );
  }

  waitForRequest(n: number, { timeoutMs }: { timeoutMs: number }): Promise<ForemanRequest> {
    return this.#waiters.until(() => this.requests[n - 1], { timeoutMs, what: `request number ${n}`, seen: () => this.#seen() });
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const timer of this.#delays) {
      clearTimeout(timer);
    }
    this.#delays.clear();
    if (server !== undefined) {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    const { ca, cert, key } = this.#options.tls;
    const server = createServer(
      // Whoever comes without a good certificate is let in to be told 403, as the web server in front of Foreman does.
      { ca: await readFile(ca), cert: await readFile(cert), key: await readFile(key), requestCert: true, rejectUnauthorized: false },
      (request, response) => this.#receive(request, response),
    );
    this.#address = await listenOnLoopback(server, this.#address?.port ?? this.#options.port ?? 0, this.#address?.address);
    this.#server = server;
  }

  #seen(): string {
    const refused = this.requests.filter((one) => !one.isProcessed).length;
    return `${this.callbacks.length} callbacks came, ${this.requests.length} requests in all, ${refused} of them not taken in`;
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    this.#open += 1;
    this.maxConcurrentRequests = Math.max(this.maxConcurrentRequests, this.#open);
    response.once('close', () => (this.#open -= 1));
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => this.#handle(request, Buffer.concat(pieces).toString('utf8'), response));
    // A sender that breaks off in the middle has sent nothing that Foreman would look at.
    request.once('error', () => response.destroy());
  }

  #handle(message: IncomingMessage, rawBody: string, response: ServerResponse): void {
    const socket = message.socket as TLSSocket;
    const body = parseJson(rawBody);
    const parsed = parseCallback(body);
    const request: ForemanRequest = {
      number: this.requests.length + 1,
      at: Date.now(),
      method: message.method ?? '',
      path: message.url ?? '',
      headers: message.headers,
      clientSubject: subjectOf(socket),
      rawBody,
      body,
      entries: parsed.kind === 'entries' ? parsed.entries : [],
      status: undefined,
      isProcessed: false,
    };
    this.requests.push(request);
    this.#waiters.changed();

    if (request.path.split('?')[0] !== callbackPath || request.method !== 'POST') {
      answer(request, response, 404, { error: `no route for ${request.method} ${request.path}` });
    } else if (!socket.authorized) {
      answer(request, response, 403, { error: 'a client certificate of a known authority is required' });
    } else if (!this.#isRegistered(socket)) {
      answer(request, response, 403, { error: 'the certificate names no registered smart proxy' });
    } else if (parsed.kind === 'refused') {
      answer(request, response, parsed.status, { error: parsed.reason });
    } else if (parsed.kind === 'entries') {
      this.#decide(request, response);
    } else {
      assertNever(parsed);
    }
  }

  #isRegistered(socket: TLSSocket): boolean {
    const registered = this.#options.registeredProxies;
    return registered === undefined || certificateNames(socket).some((name) => registered.includes(name));
  }

  #decide(request: ForemanRequest, response: ServerResponse): void {
    this.#callbackCount += 1;
    const verdict = this.#options.onCallback?.(this.#callbackCount, request) ?? {};
    const { status = 200, delayMs = 0, isDisconnected = false } = verdict;
    const isProcessed = verdict.isProcessed ?? (status === 200 && !isDisconnected && delayMs !== Infinity);
    const finish = (): void => {
      if (isProcessed) {
        this.#process(request);
      }
      if (isDisconnected) {
        response.destroy();
      } else if (delayMs !== Infinity) {
        answer(request, response, status, status === 200 ? { message: 'processing' } : { error: 'told to refuse' });
      }
      // After the answer was noted, so that whoever waited sees it in the request.
      this.#waiters.changed();
    };
    if (delayMs === 0 || delayMs === Infinity) {
      finish();
      return;
    }
    const timer = setTimeout(() => {
      this.#delays.delete(timer);
      finish();
    }, delayMs);
    this.#delays.add(timer);
  }

  #process(request: ForemanRequest): void {
    request.isProcessed = true;
    for (const entry of request.entries) {
      this.callbacks.push({ ...entry, request });
      this.#jobs.finish(entry.taskId, entry.data);
    }
  }
}

function answer(request: ForemanRequest, response: ServerResponse, status: number, body: JsonObject): void {
  request.status = status;
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}

/** A body that is no JSON is recorded raw and refused with 400. */
function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
