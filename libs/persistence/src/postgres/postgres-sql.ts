import type { Pool } from 'pg';
import type { Sql, SqlValue } from '../tables/sql.js';
import { storable } from './commit-statement.js';
import { postgresFailure } from './postgres-errors.js';

const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::double precision';

/** Runs statements on PostgreSQL. */
export function postgresSql(pool: Pool): Sql {
  return async <Row>(statement: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]> => {
    const text = statement
      .reduce((start, end, index) => `${start}$${index}${end}`)
      .replaceAll('now_ms()', NOW)
      .replaceAll('json_each(', 'jsonb_array_elements_text(');
    try {
      return (await pool.query(text, values.map(storable))).rows as Row[];
    } catch (error) {
      throw postgresFailure(error);
    }
  };
}
