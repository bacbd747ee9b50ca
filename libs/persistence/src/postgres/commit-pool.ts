import pg from 'pg';

/**
 * How commits are run: by primary keys, as planned once. A commit's statement is the same each time and finds each row by its key, so
 * there is nothing to plan anew; left to itself the server does so again and again, which takes longer than the work, or plans for tables
 * that are still empty and reads them from end to end when they no longer are. None of it pays for being compiled.
 */
const SETTINGS = [
  'SET plan_cache_mode = force_generic_plan',
  'SET jit = off',
  'SET enable_seqscan = off',
  'SET enable_hashjoin = off',
  'SET enable_mergejoin = off',
].join('; ');

/**
 * The connection that commits go through, made anew when it breaks. It is one, since the engine's commits go one after the other, and it
 * stays open, with the statements that it has prepared.
 */
export function commitPool(options: pg.PoolConfig, onBroken: (error: unknown) => void): pg.Pool {
  // The pool waits for it before it hands the connection out, though its types do not say so.
  const onConnect = (client: pg.ClientBase): unknown => client.query(SETTINGS);
  const pool = new pg.Pool({ ...options, max: 1, idleTimeoutMillis: 0, onConnect });
  pool.on('error', onBroken);
  return pool;
}
