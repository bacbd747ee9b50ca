import { InvalidInputError } from '@dynflow/kernel';
import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from './database-url.js';

describe('parseDatabaseUrl', () => {
  it.each([
    ['sqlite::memory:', { kind: 'sqlite-memory' }],
    ['sqlite:/var/lib/dynflow/dynflow.db', { kind: 'sqlite-file', file: '/var/lib/dynflow/dynflow.db' }],
    ['sqlite:///var/lib/dynflow.db', { kind: 'sqlite-file', file: '/var/lib/dynflow.db' }],
    ['sqlite:/var/lib/my files/dynflow.db', { kind: 'sqlite-file', file: '/var/lib/my files/dynflow.db' }],
    ['postgres://dynflow@localhost/dynflow', { kind: 'postgres', url: 'postgres://dynflow@localhost/dynflow' }],
    ['postgresql:///dynflow?host=/run/postgresql', { kind: 'postgres', url: 'postgresql:///dynflow?host=/run/postgresql' }],
  ])('reads %s', (url, expected) => {
    expect(parseDatabaseUrl(url)).toEqual(expected);
  });

  it.each([
    '',
    'sqlite',
    'sqlite:',
    'sqlite:/',
    'sqlite:/var/lib/',
    'sqlite://host/file',
    'sqlite::memory',
    'sqlite:/a?b',
    'postgres://',
    'mysql://a/b',
  ])('refuses "%s"', (url) => {
    expect(() => parseDatabaseUrl(url)).toThrow(InvalidInputError);
  });

  it('never repeats what may hold a password', () => {
    expect(() => parseDatabaseUrl('postgre://user:s3cret@host/db')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('s3cret') }),
    );
  });
});
