import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { say, showProgress } from './lib/progress.mjs';
import { run } from './lib/run.mjs';

/**
 * Builds the workspace if a package's sources are newer than what was built of it.
 *
 * @throws {Error} with the compiler's messages
 */
export async function ensureBuilt() {
  const packages = ['libs', 'apps', 'examples'].flatMap((parent) =>
    existsSync(join(root, parent)) ? readdirSync(join(root, parent)).map((name) => join(root, parent, name)) : [],
  );
  const stale = packages.some((folder) => {
    const built = join(folder, 'dist/.tsbuildinfo');
    if (!existsSync(join(folder, 'tsconfig.json'))) return false;
    return !existsSync(built) || newest(join(folder, 'src')) > statSync(built).mtimeMs;
  });
  if (!stale) return;

  say('Building');
  const done = showProgress((seconds) => `  tsc -b… ${seconds} s`);
  const { ok, output, reason } = await run('tsc', ['-b', 'tsconfig.build.json']);
  done();
  if (!ok) throw new Error(`The build failed (${reason}):\n${output.trim()}`);
}

function newest(folder) {
  const times = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.spec.ts'))
    .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  return Math.max(0, ...times);
}
