import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. (Not import.meta.dirname: these files must still load on a Node that is too old, to say so.) */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What the scripts fetch and write; never committed, may be deleted at any time. */
export const cache = join(root, '.cache');

/** Programs of the checkout first: node_modules/.bin, then servers that scripts/setup.mjs fetched, then the system's. */
export const searchPath = [
  join(root, 'node_modules/.bin'),
  join(cache, 'bin'),
  process.env.PATH,
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
].join(':');
