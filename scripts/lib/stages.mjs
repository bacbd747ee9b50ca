import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';

/** The table of test-stages.json, in its order. */
export const stages = JSON.parse(readFileSync(join(root, 'scripts/test-stages.json'), 'utf8')).stages;

/**
 * The stages with these names, and those that must pass before them.
 *
 * @throws {Error} naming what there is, when a name is unknown
 */
export function selectStages(names) {
  const wanted = new Set();
  const add = (name) => {
    const stage = stages.find((candidate) => candidate.name === name);
    if (!stage) throw new Error(`There is no stage "${name}". There are: ${stages.map((each) => each.name).join(', ')}.`);
    wanted.add(name);
    stage.after?.forEach(add);
  };
  names.forEach(add);
  return stages.filter((stage) => wanted.has(stage.name));
}
