import { EntitySchema } from 'typeorm';
import { counterType, type Dialect } from './dialect.js';

/** A row of `dynflow_output_chunks`. */
export interface OutputChunkColumns {
  number: number;
  plan_id: string;
  action_id: number;
  seq: number;
  kind: string;
  timestamp: number;
  /** A JSON string: output may hold NUL bytes and half characters, which PostgreSQL's text may not. */
  chunk: string;
  /** The producer's identifier as JSON, a string or a number. */
  external_id: string | null;
}

export const outputChunkEntity = (dialect: Dialect): EntitySchema<OutputChunkColumns> =>
  new EntitySchema<OutputChunkColumns>({
    name: 'OutputChunk',
    tableName: 'dynflow_output_chunks',
    columns: {
      number: { type: counterType(dialect), primary: true, generated: 'increment', primaryKeyConstraintName: 'dynflow_output_chunks_pkey' },
      plan_id: { type: 'text' },
      action_id: { type: 'integer' },
      seq: { type: 'integer' },
      kind: { type: 'text' },
      timestamp: { type: 'double precision' },
      chunk: { type: 'text' },
      external_id: { type: 'text', nullable: true },
    },
    indices: [{ name: 'dynflow_output_chunks_action', columns: ['plan_id', 'action_id'] }],
    foreignKeys: [
      {
        name: 'dynflow_output_chunks_plan',
        target: 'ExecutionPlan',
        columnNames: ['plan_id'],
        referencedColumnNames: ['id'],
        onDelete: 'CASCADE',
      },
    ],
  });
