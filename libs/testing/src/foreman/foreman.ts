import type { IncomingHttpHeaders } from 'node:http';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { CertificateFiles } from '../tls/certificates.js';
import type { CallbackEntry } from './callback-body.js';
import type { EventRow, HostResult } from './host-jobs.js';

/** A request as it came in, with what was answered. */
export interface ForemanRequest {
  /** Counts from 1, in the order in which bodies were complete. */
  readonly number: number;
  /** Milliseconds since the Unix epoch at which the request was complete. */
  readonly at: number;
  readonly method: string;
  /** Path with query, as sent. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** For example `/CN=proxy.example.test`; undefined without a certificate. */
  readonly clientSubject: string | undefined;
  readonly rawBody: string;
  /** The parsed body; undefined if it is no JSON. */
  readonly body: JsonValue | undefined;
  /** Hosts named by a well-formed callback. */
  readonly entries: readonly CallbackEntry[];
  /** The answer's status; undefined while there is none, and for ever if the connection went first. */
  status: number | undefined;
  /** True once the data was taken in, whether or not the sender has learnt of it. */
  isProcessed: boolean;
}

/** How to treat one callback; what is left out is as Foreman does it. */
export interface CallbackVerdict {
  /** Anything but 200 means that nothing is taken in. */
  status?: number;
  /** Wait before taking in and answering; `Infinity` never answers, until the sender or `stop()` ends the connection. */
  delayMs?: number;
  /** Close the connection instead of answering. */
  isDisconnected?: boolean;
  /** Whether the data is taken in; with `isDisconnected` this is the answer that gets lost. */
  isProcessed?: boolean;
}

export interface ForemanOptions {
  /** The server's certificate; clients must show one that the same `ca` signed. */
  tls: CertificateFiles;
  /** Port to listen on; a free one unless given. */
  port?: number;
  /** Names of the registered smart proxies; a certificate for another name gets 403. All names are welcome unless given. */
  registeredProxies?: readonly string[];
  /** Decides about the n-th callback (from 1) of those that a registered proxy sent; undefined treats it as Foreman does. */
  onCallback?: (n: number, request: ForemanRequest) => CallbackVerdict | undefined;
}

/** A host's data that was taken in. */
export interface ReceivedCallback extends CallbackEntry {
  readonly request: ForemanRequest;
}

/** A program that behaves towards a smart proxy as Foreman does. Its tables outlive `stop()` and `restart()`. */
export interface Foreman {
  /** Base URL, with the loopback address it listens on. The same before and after `restart()`. */
  readonly url: string;
  readonly port: number;
  /** Every request with a complete body, whatever the answer. */
  readonly requests: readonly ForemanRequest[];
  /** Every host's data that was taken in, in order; a host that is delivered twice is here twice. */
  readonly callbacks: readonly ReceivedCallback[];
  /** The largest number of requests that were open at one time. */
  readonly maxConcurrentRequests: number;

  /** How often each task's data was taken in. A task that is not here got nothing; more than 1 is a double delivery. */
  counts(): Record<string, number>;
  rowsOf(taskId: string): readonly EventRow[];
  /** `success` exactly when the host's exit status was 0; undefined while it is not known. */
  resultOf(taskId: string): HostResult | undefined;
  /** What in the task's data Foreman's tables would have refused. */
  faultsOf(taskId: string): readonly string[];
  /** Takes in a plan's status document, as Foreman's job page does on each refresh. */
  observe(taskId: string, document: JsonObject): void;

  /** Resolves with the first data taken in for the task, at once if it is there. Throws WaitTimedOutError. */
  waitForCallback(taskId: string, options: { timeoutMs: number }): Promise<ReceivedCallback>;
  /** Resolves when data was taken in for every one of the tasks. Throws WaitTimedOutError, which names those missing. */
  waitForCallbacks(taskIds: readonly string[], options: { timeoutMs: number }): Promise<void>;
  /** Resolves with the n-th request (from 1) as soon as its body is complete, answered or not. Throws WaitTimedOutError. */
  waitForRequest(n: number, options: { timeoutMs: number }): Promise<ForemanRequest>;

  /** Closes the port and all connections at once; new ones are refused. Twice does no harm. */
  stop(): Promise<void>;
  /** Stops if needed and listens on the same port again. */
  restart(): Promise<void>;
}
