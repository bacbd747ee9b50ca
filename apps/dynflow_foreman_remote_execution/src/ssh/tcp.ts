import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { SshError } from './errors.js';

/** How long one address of a name may take before the next is tried as well; Node's default of 250 ms fails on slow lines. */
const NEXT_ADDRESS_AFTER_MS = 2_000;

/** `host:port` for people; IPv6 addresses in brackets. */
export function hostLabel(host: string, port: number): string {
  const bare = bareHost(host);
  return `${bare.includes(':') ? `[${bare}]` : bare}:${port}`;
}

/** The host without the brackets that a URL puts around an IPv6 address. */
export function bareHost(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/**
 * Opens a TCP connection with TCP_NODELAY, which ssh2 does not set by itself: without it each command waits for two delayed
 * acknowledgements, some 80 ms.
 *
 * @throws SshError `unresolvable`, `refused`, `unreachable`, `no-answer` or `cancelled`.
 */
export function openSocket(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
  const label = hostLabel(host, port);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: bareHost(host),
      port,
      noDelay: true,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    });
    const fail = (error: SshError): void => {
      release();
      // Destroying a socket that is connecting to several addresses may still make it emit.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => {
      release();
      // Whoever takes the socket listens for its end; an error in between must not end the process.
      socket.on('error', () => undefined);
      resolve(socket);
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(explain(error, bareHost(host), label));
    const onAbort = (): void => fail(new SshError('cancelled', `cancelled while connecting to ${label}`));
    const timer = setTimeout(
      () =>
        fail(
          new SshError('no-answer', `no answer from ${label} within ${timeoutMs / 1000} s (host down, or a firewall drops the packets)`),
        ),
      timeoutMs,
    );
    const release = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect).off('error', onError);
    };
    socket.once('connect', onConnect).once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}

function explain(error: NodeJS.ErrnoException, host: string, label: string): SshError {
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException | undefined) : undefined;
  const code = error.code ?? first?.code ?? 'unknown';
  const options = { cause: error, context: { code } };
  switch (code) {
    case 'ENOTFOUND':
      return new SshError('unresolvable', `the name ${host} cannot be resolved (${code})`, options);
    case 'EAI_AGAIN':
      return new SshError('unresolvable', `the name ${host} cannot be resolved now: the name server does not answer (${code})`, {
        ...options,
        retryable: true,
      });
    case 'ECONNREFUSED':
      return new SshError('refused', `connection to ${label} refused: nothing listens there (${code})`, options);
    case 'ETIMEDOUT':
      return new SshError('no-answer', `no answer from ${label} (${code})`, options);
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return new SshError('unreachable', `no route to ${label} (${code})`, options);
    default:
      return new SshError('unreachable', `cannot connect to ${label}: ${first?.message ?? error.message}`, options);
  }
}
