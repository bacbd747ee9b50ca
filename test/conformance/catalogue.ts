import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
export const catalogueFolder = 'test/conformance/dynflow';

/** One change of the product's code that breaks a behaviour: `find` stands exactly once in `file`. */
export interface Mutation {
  /** Path in the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Which spec shows it, when the test stands in a suite that several specs share. */
  readonly spec?: string;
}

/** One behaviour of Dynflow. It has a test whose name begins with its id, or the reason why it needs none here. */
export interface Behaviour {
  readonly id: string;
  readonly behaviour: string;
  /** Shown beside the test: where ours is deliberately another, or what the words mean here. */
  readonly note?: string;
  /** Why there is no test. */
  readonly reason?: string;
  /** Nobody has worked on it yet. */
  readonly todo?: true | undefined;
  readonly mutation?: Mutation;
}

export interface Section {
  /** Path of its file in the repository. */
  readonly file: string;
  readonly section: string;
  readonly title: string;
  readonly prefix: string;
  readonly ids: readonly Behaviour[];
}

/** All sections, in the order of their numbers. */
export function readCatalogue(): Section[] {
  const files = readdirSync(join(root, catalogueFolder)).filter((name) => name.endsWith('.ids.json'));
  return files
    .map((name): Section => {
      const file = `${catalogueFolder}/${name}`;
      return { ...(JSON.parse(readFileSync(join(root, file), 'utf8')) as Omit<Section, 'file'>), file };
    })
    .toSorted((a, b) => numberOf(a) - numberOf(b));
}

const numberOf = ({ section }: Section): number => Number(section.split('.')[1]);
