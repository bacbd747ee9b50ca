import { describe, expect, it } from 'vitest';
import { ForemanRefusal, refusalOfError, refusalOfStatus, type RefusalCode } from './foreman-errors.js';

const nothing = { said: '', location: '' };
const place = { origin: 'https://foreman.example.com', timeoutMs: 30_000 };

function coded(code: string): Error {
  return Object.assign(new Error(`message of ${code}`), { code });
}

describe('what an answer other than 200 means', () => {
  it.each<[number, RefusalCode, boolean, string]>([
    [201, 'DYN_FOREMAN_REJECTED', false, 'only 200 is a success'],
    [302, 'DYN_FOREMAN_REDIRECTS', false, 'DYNFLOW_FOREMAN_URL'],
    [400, 'DYN_FOREMAN_REJECTED', false, 'DYNFLOW_FOREMAN_URL'],
    [401, 'DYN_FOREMAN_FORBIDDEN', true, 'smart proxy'],
    [403, 'DYN_FOREMAN_FORBIDDEN', true, 'DYNFLOW_FOREMAN_SSL_CERT'],
    [404, 'DYN_FOREMAN_NOT_FOUND', false, 'foreman_tasks is missing'],
    [408, 'DYN_FOREMAN_FAILED', true, 'cannot take the callback now'],
    [413, 'DYN_FOREMAN_TOO_LARGE', false, 'DYNFLOW_OUTPUT_LIMIT'],
    [422, 'DYN_FOREMAN_REJECTED', false, 'does not know its form'],
    [429, 'DYN_FOREMAN_FAILED', true, 'cannot take the callback now'],
    [500, 'DYN_FOREMAN_FAILED', true, 'its log says why'],
    [503, 'DYN_FOREMAN_FAILED', true, 'HTTP 503'],
  ])('%i', (status, code, retryable, text) => {
    const refusal = refusalOfStatus(status, nothing);

    expect(refusal).toMatchObject({ code, retryable, status, context: { status } });
    expect(refusal.message).toContain(text);
  });

  it('quotes Foreman and names where it redirects to', () => {
    expect(refusalOfStatus(500, { said: 'undefined method', location: '' }).message).toMatch(/Foreman says: undefined method$/);
    expect(refusalOfStatus(301, { said: '', location: 'https://other/' }).message).toContain('redirects the callback to https://other/');
  });
});

describe('what it means that there was no answer', () => {
  it.each<[string, RefusalCode, string]>([
    ['CERT_HAS_EXPIRED', 'DYN_FOREMAN_TLS', 'has expired'],
    ['CERT_NOT_YET_VALID', 'DYN_FOREMAN_TLS', 'clocks'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'DYN_FOREMAN_TLS', 'another name'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'DYN_FOREMAN_TLS', 'DYNFLOW_FOREMAN_SSL_CA'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'DYN_FOREMAN_TLS', 'does not speak TLS'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'DYN_FOREMAN_TLS', 'DYNFLOW_FOREMAN_SSL_CERT'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'DYN_FOREMAN_TLS', 'ERR_SSL_UNSUPPORTED_PROTOCOL'],
    ['ECONNREFUSED', 'DYN_FOREMAN_UNREACHABLE', 'nothing listens there'],
    ['ENOTFOUND', 'DYN_FOREMAN_UNREACHABLE', 'not known to DNS'],
    ['ECONNRESET', 'DYN_FOREMAN_UNREACHABLE', 'closed the connection'],
    ['EODD', 'DYN_FOREMAN_UNREACHABLE', 'message of EODD'],
    ['UND_ERR_HEADERS_TIMEOUT', 'DYN_FOREMAN_TIMEOUT', 'within 30 s'],
  ])('%s', (code, expected, text) => {
    const refusal = refusalOfError(coded(code), place);

    expect(refusal).toMatchObject({ code: expected, retryable: true, status: null });
    expect(refusal.message).toContain('https://foreman.example.com');
    expect(refusal.message).toContain(text);
  });

  it('finds the reason in causes and in attempts that were summed up', () => {
    expect(refusalOfError(new TypeError('failed', { cause: coded('ENOTFOUND') }), place).message).toContain('DNS');
    expect(refusalOfError(new AggregateError([coded('ECONNREFUSED')]), place).message).toContain('nothing listens there');
  });

  it('leaves a refusal as it is', () => {
    const refusal = new ForemanRefusal('DYN_FOREMAN_TLS', 'x', { retryable: true });

    expect(refusalOfError(refusal, place)).toBe(refusal);
  });
});
