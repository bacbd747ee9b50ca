// `npm start`: the built gateway, in this very process, so that signals and exit statuses are its own.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { root } from './lib/paths.mjs';

try {
  await ensureBuilt();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
const main = join(root, 'apps/dynflow_api/dist/main.js');
process.argv[1] = main;
await import(pathToFileURL(main).href);
