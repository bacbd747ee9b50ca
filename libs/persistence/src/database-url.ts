import { resolve } from 'node:path';
import { InvalidInputError } from '@dynflow/kernel';

export type DatabaseLocation =
  | { readonly kind: 'sqlite-memory' }
  | { readonly kind: 'sqlite-file'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };

/**
 * Where a database URL points: `sqlite::memory:`, `sqlite:/path/file` or `postgres://…`.
 *
 * @throws InvalidInputError for anything else. The URL is not repeated in it, since it may hold a password.
 */
export function parseDatabaseUrl(url: string): DatabaseLocation {
  if (url === 'sqlite::memory:') {
    return { kind: 'sqlite-memory' };
  }
  if (/^postgres(ql)?:\/\/./.test(url) && URL.canParse(url)) {
    return { kind: 'postgres', url };
  }
  const file = /^sqlite:(?:\/\/(?=\/))?(?!\/\/)([^:?#]+)$/.exec(url)?.[1];
  if (file === undefined || file.endsWith('/')) {
    throw new InvalidInputError('databaseUrl', 'expected "sqlite::memory:", "sqlite:/path/to/file" or "postgres://user@host/database"');
  }
  return { kind: 'sqlite-file', file: resolve(file) };
}
