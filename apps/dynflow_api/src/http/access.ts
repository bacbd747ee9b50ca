import { TLSSocket } from 'node:tls';
import type { RouteDeclaration } from '@dynflow/contracts';
import { clientNameOf, isLoopback } from '@dynflow/platform';
import type { FastifyRequest } from 'fastify';

/** Who calls, as far as the connection tells. */
export interface Caller {
  readonly protocol: 'http' | 'https';
  /** CN of a client certificate that our CA signed, lower case; null without one. */
  readonly clientName: string | null;
  readonly isTrusted: boolean;
}

export interface AccessRules {
  /** Lower case; null: any certificate of the CA; empty: nobody. */
  readonly trustedHosts: readonly string[] | null;
}

/** Finds out who calls. Plain HTTP is trusted: the configuration allows it on loopback only. */
export function callerOf(request: FastifyRequest, rules: AccessRules): Caller {
  const { socket } = request.raw;
  if (!(socket instanceof TLSSocket)) {
    return { protocol: 'http', clientName: null, isTrusted: true };
  }
  const name = clientNameOf(socket);
  const isListed = rules.trustedHosts === null || (name !== null && rules.trustedHosts.includes(name));
  return { protocol: 'https', clientName: name, isTrusted: name !== null && isListed };
}

/** @returns why the caller may not use a route of this kind, or undefined if it may. */
export function refusalFor(access: RouteDeclaration['access'], caller: Caller): string | undefined {
  if (access === 'open' || (access === 'trusted' && caller.isTrusted)) {
    return undefined;
  }
  if (caller.protocol === 'https' && caller.clientName === null) {
    return 'No client SSL certificate supplied';
  }
  if (access === 'host') {
    return caller.clientName === null ? 'This route needs the client certificate of a host, over HTTPS' : undefined;
  }
  return `The client certificate of ${caller.clientName ?? 'this caller'} is not among the trusted hosts (DYNFLOW_TRUSTED_HOSTS)`;
}

/**
 * A browser that was lured to a page of somebody else's must not reach a service that trusts loopback: its requests carry a foreign
 * `Origin`, or, after DNS rebinding, a foreign `Host`.
 *
 * @returns why the request is refused, or undefined.
 */
export function foreignPageRefusal(request: FastifyRequest): string | undefined {
  const { origin, host } = request.headers;
  const protocol = request.raw.socket instanceof TLSSocket ? 'https' : 'http';
  if (protocol === 'http' && host !== undefined && !isLoopback(hostNameOf(host))) {
    return `The Host header names "${host}", but plain HTTP is served on loopback only`;
  }
  if (origin !== undefined && origin !== `${protocol}://${host ?? ''}`) {
    return `Requests of pages from ${origin} are not served`;
  }
  return undefined;
}

function hostNameOf(host: string): string {
  return host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '');
}
