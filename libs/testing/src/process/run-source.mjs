// Runs a TypeScript module of this workspace in a process of its own, from source, as specs are run: node run-source.mjs <file> [argument…].
// Node alone cannot: the sources import each other by the names that they will have when they are built.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..');
const conditions = ['dynflow-source', 'module', 'node', 'development|production'];
const server = await createViteServer({
  root,
  configFile: false,
  logLevel: 'error',
  cacheDir: resolve(root, '.cache/run-source'),
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
});
const { main } = await server.environments.ssr.runner.import(process.argv[2]);
await main(process.argv.slice(3));
await server.close();
