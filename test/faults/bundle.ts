import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const root = resolve(import.meta.dirname, '../..');

/** A program in one file, which starts several times as fast as its sources. */
export interface Bundle {
  /** Run it with `node <loader> <task as JSON>`. */
  readonly loader: string;
  dispose(): void;
}

/** Found at run time where they are installed: they are native, or are only there when somebody wants them. */
const EXTERNAL = /^(better-sqlite3|pg|ioredis|amqp.*|kafkajs|mqtt)$/;

/**
 * Puts a module of the tests and all that it needs into one file, from source. Its first process that gets to its end leaves V8's
 * compiled code beside it, for the others.
 */
export async function bundle(entry: string): Promise<Bundle> {
  mkdirSync(join(root, '.cache'), { recursive: true });
  // Below the repository, where the external modules are found.
  const directory = mkdtempSync(join(root, '.cache/faults-'));
  const build = await rolldown({
    input: entry,
    platform: 'node',
    cwd: root,
    tsconfig: false,
    logLevel: 'silent',
    external: EXTERNAL,
    resolve: { conditionNames: ['dynflow-source', 'module', 'import', 'node', 'default'] },
    transform: { decorator: { legacy: true, emitDecoratorMetadata: true } },
    // What of ours nobody uses, such as the HTTP server, is left out with all that it would load.
    treeshake: { moduleSideEffects: [{ test: /\/(libs|apps)\/[^/]+\/src\//, sideEffects: false }] },
  });
  await build.write({ file: join(directory, 'bundle/program.cjs'), format: 'cjs', codeSplitting: false });
  await build.close();
  // The gateway reads its version from the package that it is in.
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ version: '0.0.0' }));
  const loader = join(directory, 'bundle/loader.cjs');
  writeFileSync(loader, LOADER);
  return { loader, dispose: () => rmSync(directory, { recursive: true, force: true }) };
}

const LOADER = `
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { Script } = require('node:vm');
const file = __dirname + '/program.cjs';
const cache = file + '.cache';
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
const source = '(function (exports, require, module, __filename, __dirname) {' + readFileSync(file, 'utf8') + '\\n})';
const script = new Script(source, { filename: file, ...(cachedData && { cachedData }) });
const program = { exports: {} };
script.runInThisContext()(program.exports, createRequire(file), program, file, __dirname);
program.exports.main(JSON.parse(process.argv[2])).then(() => {
  if (!cachedData) {
    writeFileSync(cache + '.new', script.createCachedData());
    renameSync(cache + '.new', cache);
  }
  process.kill(process.pid, 'SIGKILL');
});
`;
