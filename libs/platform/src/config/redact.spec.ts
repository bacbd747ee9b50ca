import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { looksSecret, withoutAnythingSecret, withoutUrlSecrets } from './redact.js';

describe('a URL that is shown', () => {
  it.each([
    ['postgres://user:pass@host/db', 'postgres://user:[hidden]@host/db'],
    ['postgres://user:p@ss@host/db', 'postgres://user:[hidden]@host/db'],
    ['nats://token@host:4222', 'nats://[hidden]@host:4222'],
    ['nats://a:b@h1,nats://c:d@h2', 'nats://a:[hidden]@h1,nats://c:[hidden]@h2'],
    ['https://h/?api_token=x&page=2', 'https://h/?api_token=[hidden]&page=2'],
    ['https://foreman.example.com/a@b', 'https://foreman.example.com/a@b'],
    ['cannot reach postgres://u:p@h: refused', 'cannot reach postgres://u:[hidden]@h: refused'],
    ['no URL at all', 'no URL at all'],
  ])('%s', (url, shown) => {
    expect(withoutUrlSecrets(url)).toBe(shown);
  });

  it('never shows the password, however it is spelt, in a URL or in what was meant to be one', () => {
    // Marked, so that a password that is by chance a part of the host's name does not count.
    const password = fc.string({ minLength: 1 }).map((text) => `<${text}>`);
    fc.assert(
      fc.property(password, (secret) => {
        expect(withoutUrlSecrets(`postgres://user:${encodeURIComponent(secret)}@host/db`)).toBe('postgres://user:[hidden]@host/db');
        expect(withoutAnythingSecret(`postgres://user:${secret}@host`)).not.toContain(secret);
      }),
    );
  });
});

describe('the name of a secret', () => {
  it('is known by its words, and a file that holds one is none', () => {
    const names = ['ssh_password', 'key_passphrase', 'api_token', 'client_secret', 'api_password_file', 'secret_keys_file', 'ssh_user'];

    expect(names.filter((name) => looksSecret(name))).toEqual(['ssh_password', 'key_passphrase', 'api_token', 'client_secret']);
  });
});
