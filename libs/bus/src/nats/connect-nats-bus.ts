import {
  connect,
  errors,
  nkeyAuthenticator,
  usernamePasswordAuthenticator,
  type NatsConnection,
  type TlsOptions,
} from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusUnavailableError } from '../message-bus.js';
import { silentLog, type BusLog } from './bus-log.js';
import { NatsBus } from './nats-bus.js';
import { NatsLink } from './nats-link.js';
import { inboxPrefixOf } from './reply-subject.js';

export interface NatsBusOptions {
  /** `nats://host:4222`, or several, separated by commas. `tls://` wants TLS. A user and password in it are used, and not logged. */
  readonly url: string;
  /** Whose connection it is: `gateway`, or the plugin's name. Answers arrive below `_I.<user>`. */
  readonly user: string;
  /** Shown in the server's list of connections: which process it is. */
  readonly name: string;
  /** A file with an nkey's seed (`SU…`), or a password. Without either the login of `url` is used, if it has one. */
  readonly credentials?: { readonly nkeyFile: string } | { readonly user: string; readonly password: string };
  /** Paths of PEM files; any of them insists on TLS. */
  readonly tls?: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null };
  /** Where queues that this bus makes are kept: `file` (default) or, for tests, `memory`. */
  readonly storage?: 'file' | 'memory';
  /** How long a reader of a queue that this bus makes may leave a message unsettled; 30,000 by default. */
  readonly ackWaitMs?: number;
  /** How long to try for the first connection; for ever by default. */
  readonly firstConnectionMs?: number;
  /** Ends the wait for the first connection. */
  readonly signal?: AbortSignal;
  readonly log?: BusLog;
}

const ACK_WAIT_MS = 30_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 2_000;
const DIAL_TIMEOUT_MS = 5_000;
const RECONNECT_WAIT_MS = 500;
const RECONNECT_JITTER_MS = 250;
/** A connection that is silently dead is noticed after two of these; the client's two minutes would outlast every lease. */
const PING_INTERVAL_MS = 10_000;

/**
 * Connects and returns the bus. A server that is away or refuses the login is reported in the log, once for each new reason, and tried
 * again, because the processes of an installation start in any order.
 *
 * @throws BusUnavailableError with the last reason when `firstConnectionMs` is over or `signal` aborts; at once when `url` is not valid.
 */
export async function connectNatsBus(options: NatsBusOptions): Promise<NatsBus> {
  const log = options.log ?? silentLog;
  const connection = await firstConnection(options, parseUrls(options.url), log);
  log.info('connected to NATS', { server: connection.getServer() });
  return new NatsBus(new NatsLink(connection, options.user, log), {
    storage: options.storage ?? 'file',
    ackWaitMs: options.ackWaitMs ?? ACK_WAIT_MS,
  });
}

interface ServerUrls {
  readonly servers: readonly string[];
  readonly needsTls: boolean;
  readonly login: { readonly user: string; readonly password: string } | undefined;
}

function parseUrls(text: string): ServerUrls {
  const urls = text.split(',').map((part) => {
    const url = URL.canParse(part.trim()) ? new URL(part.trim()) : undefined;
    if (url === undefined || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
      throw new BusUnavailableError('the NATS URL is not valid: expected nats://host:port or tls://host:port');
    }
    return url;
  });
  const withLogin = urls.find((url) => url.username !== '');
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port === '' ? '4222' : url.port}`),
    needsTls: urls.some((url) => url.protocol === 'tls:'),
    login: withLogin && { user: decodeURIComponent(withLogin.username), password: decodeURIComponent(withLogin.password) },
  };
}

async function firstConnection(options: NatsBusOptions, urls: ServerUrls, log: BusLog): Promise<NatsConnection> {
  const endsAt = performance.now() + (options.firstConnectionMs ?? Number.POSITIVE_INFINITY);
  let waitMs = FIRST_RETRY_MS;
  let lastReason = '';
  for (;;) {
    try {
      return await dial(options, urls);
    } catch (error) {
      const reason = reasonOf(error, options, urls);
      if (performance.now() + waitMs > endsAt || options.signal?.aborted === true) {
        throw new BusUnavailableError(reason, error);
      }
      if (reason !== lastReason) {
        lastReason = reason;
        log.warn(`${reason}; trying again until it works`);
      }
      await sleep(waitMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(() => {
        throw new BusUnavailableError(reason, error);
      });
      waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS);
    }
  }
}

async function dial(options: NatsBusOptions, urls: ServerUrls): Promise<NatsConnection> {
  const credentials = options.credentials ?? urls.login;
  const tls = tlsOptions(options, urls);
  return connect({
    servers: [...urls.servers],
    name: options.name,
    inboxPrefix: inboxPrefixOf(options.user),
    timeout: DIAL_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    // Credentials may be renewed on the server later; without this the second refusal would end the connection for good.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(tls === undefined ? {} : { tls }),
    ...(credentials === undefined ? {} : { authenticator: authenticatorOf(credentials) }),
  });
}

function tlsOptions(options: NatsBusOptions, urls: ServerUrls): TlsOptions | undefined {
  const { ca = null, cert = null, key = null } = options.tls ?? {};
  if (ca === null && cert === null && key === null) {
    return urls.needsTls ? {} : undefined;
  }
  return {
    ...(ca === null ? {} : { caFile: ca }),
    ...(cert === null ? {} : { certFile: cert }),
    ...(key === null ? {} : { keyFile: key }),
  };
}

function authenticatorOf(credentials: NonNullable<NatsBusOptions['credentials']>): ReturnType<typeof usernamePasswordAuthenticator> {
  return 'nkeyFile' in credentials
    ? // Read at each login, so that a key that was replaced is used without a restart.
      nkeyAuthenticator(() => new TextEncoder().encode(readFileSync(credentials.nkeyFile, 'utf8').trim()))
    : usernamePasswordAuthenticator(credentials.user, credentials.password);
}

function reasonOf(error: unknown, options: NatsBusOptions, urls: ServerUrls): string {
  const where = `NATS at ${urls.servers.join(', ')}`;
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return `${where} refuses the login of "${options.user}": check its credentials and the server's users`;
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const message = cause === undefined || cause.message === '' ? messageOf(error) : cause.message;
  return `${where} cannot be reached: ${message}`;
}
