/** The two databases that the stores speak to. */
export type Dialect = 'sqlite' | 'postgres';

/** A column that the database counts up by itself: creation order. SQLite only counts in a column of exactly this type. */
export function counterType(dialect: Dialect): 'integer' | 'bigint' {
  return dialect === 'sqlite' ? 'integer' : 'bigint';
}
