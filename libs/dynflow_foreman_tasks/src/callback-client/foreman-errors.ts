import { DynflowError, messageOf } from '@dynflow/kernel';

/** What became of a callback that Foreman did not take. */
export type RefusalCode =
  | 'DYN_FOREMAN_FAILED'
  | 'DYN_FOREMAN_FORBIDDEN'
  | 'DYN_FOREMAN_NOT_FOUND'
  | 'DYN_FOREMAN_REDIRECTS'
  | 'DYN_FOREMAN_REJECTED'
  | 'DYN_FOREMAN_TIMEOUT'
  | 'DYN_FOREMAN_TLS'
  | 'DYN_FOREMAN_TOO_LARGE'
  | 'DYN_FOREMAN_UNREACHABLE';

/**
 * Thrown when a callback was not delivered, or when its answer was lost. `retryable` says whether the same body may be taken later;
 * a final refusal needs a change of the body or of the configuration. The message says what to do.
 */
export class ForemanRefusal extends DynflowError {
  /** The HTTP status; null if there was no answer. */
  readonly status: number | null;

  constructor(code: RefusalCode, message: string, facts: { retryable: boolean; status?: number; cause?: unknown }) {
    const { retryable, status = null, cause } = facts;
    super(code, message, { retryable, context: status === null ? {} : { status }, ...(cause === undefined ? {} : { cause }) });
    this.status = status;
  }
}

/** What an answer other than 200 means. `said` is Foreman's own text, `location` where it redirects to; empty if there is none. */
export function refusalOfStatus(status: number, { said, location }: { said: string; location: string }): ForemanRefusal {
  const refuse = (code: RefusalCode, retryable: boolean, text: string): ForemanRefusal =>
    new ForemanRefusal(code, `${text}${said === '' ? '' : ` Foreman says: ${said}`}`, { retryable, status });
  switch (status) {
    case 401:
    case 403:
      return refuse(
        'DYN_FOREMAN_FORBIDDEN',
        true,
        `Foreman refuses the callback (HTTP ${status}): the client certificate names no smart proxy that is registered with the feature Dynflow. Register this service in Foreman under a name in the certificate of DYNFLOW_FOREMAN_SSL_CERT and refresh its features.`,
      );
    case 404:
      return refuse(
        'DYN_FOREMAN_NOT_FOUND',
        false,
        'Foreman has no address for callbacks (HTTP 404): its plugin foreman_tasks is missing, or DYNFLOW_FOREMAN_URL leads elsewhere.',
      );
    case 408:
    case 429:
      return refuse('DYN_FOREMAN_FAILED', true, `Foreman cannot take the callback now (HTTP ${status}).`);
    case 413:
      return refuse(
        'DYN_FOREMAN_TOO_LARGE',
        false,
        'Foreman, or a web server before it, refuses the callback as too large (HTTP 413). Raise its limit for request bodies (Apache: LimitRequestBody) or lower DYNFLOW_OUTPUT_LIMIT.',
      );
  }
  if (status >= 500) {
    return refuse('DYN_FOREMAN_FAILED', true, `Foreman failed to take the callback (HTTP ${status}); its log says why.`);
  }
  if (status >= 300 && status < 400) {
    const where = location === '' ? 'elsewhere' : `to ${location}`;
    return refuse(
      'DYN_FOREMAN_REDIRECTS',
      false,
      `Foreman redirects the callback ${where} (HTTP ${status}). Set DYNFLOW_FOREMAN_URL to the address that answers itself.`,
    );
  }
  return refuse(
    'DYN_FOREMAN_REJECTED',
    false,
    `The callback was not taken (HTTP ${status}, only 200 is a success): Foreman does not know its form, or DYNFLOW_FOREMAN_URL leads to another program.`,
  );
}

const byTlsCode: readonly { codes: readonly string[]; text: string }[] = [
  { codes: ['CERT_HAS_EXPIRED'], text: "Foreman's certificate has expired: renew it." },
  { codes: ['CERT_NOT_YET_VALID'], text: "Foreman's certificate is not valid yet: compare the clocks of both machines." },
  {
    codes: ['ERR_TLS_CERT_ALTNAME_INVALID'],
    text: "Foreman's certificate is for another name: set DYNFLOW_FOREMAN_URL to a name in the certificate.",
  },
  {
    codes: [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    text: "Foreman's certificate comes from an authority that is not trusted here: set DYNFLOW_FOREMAN_SSL_CA to the file of that authority.",
  },
  {
    codes: ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_HTTP_REQUEST', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'],
    text: 'What answers at DYNFLOW_FOREMAN_URL does not speak TLS: check its port.',
  },
];

const closed = 'it closed the connection before it answered. If it does so each time, check DYNFLOW_FOREMAN_SSL_CERT.';

const byNetworkCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there. Foreman is down, or DYNFLOW_FOREMAN_URL has the wrong port.',
  ENOTFOUND: 'its name is not known to DNS. Check DYNFLOW_FOREMAN_URL.',
  EAI_AGAIN: 'DNS does not answer.',
  EHOSTUNREACH: 'there is no route to it.',
  ENETUNREACH: 'there is no route to its network.',
  ECONNRESET: closed,
  EPIPE: closed,
  UND_ERR_SOCKET: closed,
};

const timeouts = ['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'TimeoutError'];

/** What it means that there was no answer. All of it may pass, TLS too: the files are read again before the next try. */
export function refusalOfError(error: unknown, { origin, timeoutMs }: { origin: string; timeoutMs: number }): ForemanRefusal {
  if (error instanceof ForemanRefusal) {
    return error;
  }
  const codes = codesOf(error);
  const tls = byTlsCode.find((known) => codes.some((code) => known.codes.includes(code)));
  if (tls !== undefined) {
    return new ForemanRefusal('DYN_FOREMAN_TLS', `No TLS connection to Foreman at ${origin}: ${tls.text}`, {
      retryable: true,
      cause: error,
    });
  }
  const alert = codes.find(
    (code) => code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code.startsWith('ERR_OSSL_') || code === 'EPROTO',
  );
  if (alert !== undefined) {
    const text = /ALERT|HANDSHAKE_FAILURE/.test(alert)
      ? `Foreman refuses our side of it (${alert}): check that DYNFLOW_FOREMAN_SSL_CERT is valid and from an authority that Foreman trusts.`
      : `${alert}: ${messageOf(error)}`;
    return new ForemanRefusal('DYN_FOREMAN_TLS', `No TLS connection to Foreman at ${origin}: ${text}`, { retryable: true, cause: error });
  }
  if (codes.some((code) => timeouts.includes(code))) {
    const text = `Foreman at ${origin} did not answer within ${timeoutMs / 1_000} s. It may have taken the callback; it takes one twice without harm.`;
    return new ForemanRefusal('DYN_FOREMAN_TIMEOUT', text, { retryable: true, cause: error });
  }
  const known = codes.map((code) => byNetworkCode[code]).find((text) => text !== undefined);
  return new ForemanRefusal('DYN_FOREMAN_UNREACHABLE', `Foreman at ${origin} cannot be reached: ${known ?? messageOf(error)}`, {
    retryable: true,
    cause: error,
  });
}

/** True for a failure that other certificate files may mend. */
export function concernsCertificates(refusal: ForemanRefusal): boolean {
  return refusal.code === 'DYN_FOREMAN_TLS' || refusal.code === 'DYN_FOREMAN_FORBIDDEN';
}

/** Codes and names of an error, of its causes and of the attempts that it sums up. */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) {
    return [];
  }
  const code = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...code, error.name, ...inner.flatMap((one) => codesOf(one, depth + 1)), ...codesOf(error.cause, depth + 1)];
}
