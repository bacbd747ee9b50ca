import type { Pool, PoolClient } from 'pg';

/** Runs several reading statements that see the database as it was at one moment: a plan is never seen with the steps of the next. */
export async function snapshot<T>(pool: Pool, read: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const result = await read(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A connection that failed is in an unknown state and not used again.
    client.release(failure);
  }
}
