import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  byteSize,
  database,
  duration,
  durationOrForever,
  host,
  integer,
  listenHost,
  listOf,
  natsUrl,
  oneOf,
  packageName,
  path,
  url,
  type Kind,
} from './kinds.js';

const refused = Symbol('refused');

function read(kind: Kind<unknown>, value: unknown): unknown {
  const result = kind.schema.safeParse(value);
  return result.success ? result.data : refused;
}

const day = duration(86_400_000);
const size = byteSize(10, 10_000_000, 'a size');
const names = listOf(host, 'hosts');
const https = url(['https'], 'a URL');

describe('a kind of value', () => {
  it.each<[string, Kind<unknown>, unknown, unknown]>([
    ['a whole number', integer(0, 9, 'x'), '7', 7],
    ['a whole number of the file', integer(0, 9, 'x'), 7, 7],
    ['a number above its range', integer(0, 9, 'x'), '10', refused],
    ['a number with a fraction', integer(0, 9, 'x'), 1.5, refused],
    ['a negative number', integer(0, 9, 'x'), '-1', refused],
    ['a yes', integer(0, 9, 'x'), true, refused],
    ['seconds', day, '90s', 90_000],
    ['seconds without a unit', day, '90', 90_000],
    ['seconds of the file', day, 90, 90_000],
    ['part of a minute', day, '0.5m', 30_000],
    ['milliseconds', day, '250 ms', 250],
    ['a whole day', day, '1d', 86_400_000],
    ['more than is allowed', day, '25h', refused],
    ['an unknown unit', day, '1w', refused],
    ['a time without a number', day, 'h', refused],
    ['for ever', durationOrForever(1_000), 'forever', 'forever'],
    ['not quite for ever', durationOrForever(1_000), '1s', 1_000],
    ['longer than is allowed, if not for ever', durationOrForever(1_000), '2s', refused],
    ['bytes', size, '4096', 4_096],
    ['kibibytes', size, '4KiB', 4_096],
    ['kibibytes in short', size, '4k', 4_096],
    ['mebibytes', size, '1 MiB', 1_048_576],
    ['too few bytes', size, '9', refused],
    ['decimal units, which would be read wrongly', size, '1MB', refused],
    ['a word', oneOf('json', 'pretty'), 'JSON', 'json'],
    ['a symbol of Ruby', oneOf('json', 'pretty'), ':pretty', 'pretty'],
    ['another word', oneOf('json', 'pretty'), 'xml', refused],
    ['a list', names, ' a.example , B.example,,a.example', ['a.example', 'b.example']],
    ['a list of the file', names, ['a.example', '::1'], ['a.example', '::1']],
    ['an empty list', names, ' ', []],
    ['a list with something else in it', names, ['a.example', 7, { b: 1 }], refused],
    ['a list with a bad item', names, 'a.example,b c', refused],
    ['no list', names, { a: 1 }, refused],
    ['a host', host, 'Foreman.Example.COM', 'foreman.example.com'],
    ['an address with a mistake', host, '10.0.0.256', refused],
    ['a place to listen', listenHost, '[::1]', '::1'],
    ['a place to listen with a port', listenHost, '127.0.0.1:8008', refused],
    ['an absolute path', path, '/etc/x', '/etc/x'],
    ['a relative path', path, 'x/y', resolve('x/y')],
    ['a number for a path', path, 7, refused],
    ['a package', packageName, '@scope/plugin', '@scope/plugin'],
    ['a path for a package', packageName, '../plugin', refused],
    ['a URL', https, 'https://foreman.example.com:8443/sub/', 'https://foreman.example.com:8443/sub'],
    ['a URL of another scheme', https, 'http://foreman.example.com', refused],
    ['a name without a scheme', https, 'foreman.example.com', refused],
    ['a URL without a host', https, 'https://', refused],
    ['one NATS server', natsUrl, 'nats://h', 'nats://h'],
    ['several NATS servers', natsUrl, 'nats://a:1, tls://b:2', 'nats://a:1,tls://b:2'],
    ['a NATS server without a scheme', natsUrl, 'localhost:4222', refused],
    ['memory', database, 'sqlite::memory:', { kind: 'sqlite-memory', url: 'sqlite::memory:' }],
    ['a file', database, 'sqlite:/var/x.db', { kind: 'sqlite-file', url: 'sqlite:/var/x.db', path: '/var/x.db' }],
    ['a file with three slashes', database, 'sqlite:///var/x.db', { kind: 'sqlite-file', url: 'sqlite:/var/x.db', path: '/var/x.db' }],
    ['a file with two slashes', database, 'sqlite://var/x.db', refused],
    ['no file', database, 'sqlite:', refused],
    ['memory, misspelt', database, 'sqlite:memory:', refused],
    ['PostgreSQL', database, 'postgresql://u:p@h/d', { kind: 'postgres', url: 'postgresql://u:p@h/d' }],
    ['another database', database, 'mysql://h/d', refused],
  ])('reads or refuses %s', (_, kind, value, expected) => {
    expect(read(kind, value)).toEqual(expected);
  });
});
