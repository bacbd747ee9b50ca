import type { EntitySchema } from 'typeorm';
import { actionEntity } from './action.entity.js';
import type { Dialect } from './dialect.js';
import { documentEntity } from './document.entity.js';
import { executionPlanEntity } from './execution-plan.entity.js';
import { manifestEntity } from './manifest.entity.js';
import { outputChunkEntity } from './output-chunk.entity.js';
import { planAttributeEntity } from './plan-attribute.entity.js';
import { planDependencyEntity } from './plan-dependency.entity.js';
import { shardEntity } from './shard.entity.js';
import { stepEntity } from './step.entity.js';

/** Every table that this release expects. Migrations make them; a spec compares the two. */
export function entities(dialect: Dialect): EntitySchema[] {
  return [
    executionPlanEntity(dialect),
    actionEntity(),
    stepEntity(),
    outputChunkEntity(dialect),
    planAttributeEntity(dialect),
    planDependencyEntity(),
    documentEntity(),
    manifestEntity(),
    shardEntity(),
  ];
}
