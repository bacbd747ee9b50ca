import { AsyncLocalStorage } from 'node:async_hooks';
import type { IdSource } from '@dynflow/kernel';

const current = new AsyncLocalStorage<string>();

/** Runs `work`, and all that it starts, with a request id that each of its log lines carries as `requestId`. */
export function withRequestId<Result>(requestId: string, work: () => Result): Result {
  return current.run(requestId, work);
}

/** The id of the request that is being served here, or undefined outside of one. */
export function currentRequestId(): string | undefined {
  return current.getStore();
}

/** The id that a caller gave its request in `X-Request-Id` if it is fit for a log, else a new one. */
export function requestIdOf(header: string | readonly string[] | undefined, ids: IdSource): string {
  const given = typeof header === 'string' ? header : header?.[0];
  return given !== undefined && /^[A-Za-z0-9._:+/=@-]{1,128}$/.test(given) ? given : ids.uuid();
}
