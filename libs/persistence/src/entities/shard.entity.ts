import { EntitySchema } from 'typeorm';

/** A row of `dynflow_shards`: who owns the plans of this shard, and until when. */
export interface ShardColumns {
  id: number;
  owner: string | null;
  epoch: number;
  expires_at: number;
}

export const shardEntity = (): EntitySchema<ShardColumns> =>
  new EntitySchema<ShardColumns>({
    name: 'Shard',
    tableName: 'dynflow_shards',
    columns: {
      id: { type: 'integer', primary: true, primaryKeyConstraintName: 'dynflow_shards_pkey' },
      owner: { type: 'text', nullable: true },
      epoch: { type: 'integer' },
      expires_at: { type: 'double precision' },
    },
  });
