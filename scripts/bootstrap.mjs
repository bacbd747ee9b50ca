// Makes node_modules what package-lock.json says, with better-sqlite3's native part. Plain Node: nothing is installed yet.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installCommand, installPackages } from './lib/apt.mjs';
import { root } from './lib/paths.mjs';
import { say, showProgress } from './lib/progress.mjs';
import { findProgram, run } from './lib/run.mjs';

const minimumNode = [20, 19];
/** npm goes on as if nothing had happened when it is told to end, and what it left half done is done again by the next run. */
const graceMs = 500;
const compilers = ['build-essential', 'python3'];

/** A refusal that a person can act upon; its message is all there is to show. */
export class SetupError extends Error {}

/**
 * Installs the dependencies if they are missing or differ from the lockfile, and builds the native part that we need. Does
 * nothing, in a fraction of a second, when all is in place.
 *
 * @throws {SetupError} with what is missing and how to get it
 */
export async function bootstrap() {
  await installDependencies();
  await buildSqlite();
}

/** The first half of `bootstrap`: all that is JavaScript. */
export async function installDependencies() {
  checkNode();
  if (!isInstalled()) await runNpmCi();
}

/** The second half: better-sqlite3 for this very Node. */
export async function buildSqlite() {
  if (!(await loadsSqlite())) await compileSqlite();
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > minimumNode[0] || (major === minimumNode[0] && minor >= minimumNode[1])) return;
  throw new SetupError(`Node ${minimumNode.join('.')} or newer is needed; this is ${process.versions.node} (${process.execPath}).`);
}

/** Compares the lockfile with npm's own record of what it installed; packages for other platforms may be absent. */
function isInstalled() {
  const record = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const same = (path) =>
    installed[path]?.version === wanted[path].version && (!wanted[path].link || installed[path].resolved === wanted[path].resolved);
  return (
    Object.keys(wanted).every((path) => path === '' || same(path) || (wanted[path].optional && installed[path] === undefined)) &&
    Object.keys(installed).every((path) => wanted[path] !== undefined && existsSync(join(root, path)))
  );
}

async function runNpmCi() {
  say('Installing dependencies: npm ci');
  // Install scripts are left out here and run for better-sqlite3 alone below: the native parts that ssh2 offers would be compiled
  // for a minute and gain nothing, and npm versions differ in which scripts they would run.
  const result = await withProgress('npm ci', () =>
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { graceMs }),
  );
  if (!result.ok) throw new SetupError(`npm ci failed (${result.reason}):\n${result.output.trim()}`);
}

async function loadsSqlite() {
  const result = await run(process.execPath, ['-e', "new (require('better-sqlite3'))(':memory:').close()"]);
  return result.ok;
}

async function compileSqlite() {
  const nodedir = process.env.npm_config_nodedir ?? findNodeHeaders();
  const env = { JOBS: 'max', ...(nodedir === undefined ? {} : { npm_config_nodedir: nodedir }) };
  const build = () =>
    withProgress('fetching or compiling better-sqlite3 (compiling takes about two minutes)', () =>
      run('npm', ['rebuild', 'better-sqlite3', '--foreground-scripts', '--loglevel=error'], { env, graceMs }),
    );

  say('Building better-sqlite3: a prebuilt one if it can be downloaded, else compiled here, which takes about two minutes');
  let result = await build();
  if (!result.ok && !hasCompilers()) {
    const refusal = await installPackages(compilers);
    if (refusal) throw new SetupError(`better-sqlite3 must be compiled here, and there is no compiler.\n${refusal}`);
    result = await build();
  }
  if (result.ok && (await loadsSqlite())) return;
  throw new SetupError(
    [
      `better-sqlite3 could not be built (${result.reason || 'it does not load'}):`,
      result.output.trim(),
      '',
      nodedir
        ? `Node's headers were taken from ${nodedir}/include/node.`
        : `Node's headers were not found beside ${process.execPath}; set npm_config_nodedir to a folder that has include/node.`,
      `The compiler is in the Debian packages ${compilers.join(' and ')}: ${installCommand(compilers)}`,
    ].join('\n'),
  );
}

function hasCompilers() {
  return ['g++', 'make', 'python3'].every((program) => findProgram(program));
}

/** A prefix with the headers of the very Node that runs this; those of another version would compile and then crash. */
function findNodeHeaders() {
  const prefixes = [dirname(dirname(realpathSync(process.execPath))), dirname(dirname(process.execPath)), '/usr', '/usr/local'];
  return prefixes.find((prefix) => {
    const file = join(prefix, 'include/node/node_version.h');
    if (!existsSync(file)) return false;
    const text = readFileSync(file, 'utf8');
    const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
    return `${part('MAJOR')}.${part('MINOR')}` === process.versions.node.split('.').slice(0, 2).join('.');
  });
}

async function withProgress(what, work) {
  const startedAt = Date.now();
  const done = showProgress((seconds) => `  ${what}… ${seconds} s`);
  const result = await work();
  done();
  say(`  ${result.ok ? 'done' : 'failed'} after ${Math.round((Date.now() - startedAt) / 1000)} s`);
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const work = process.argv.includes('--sqlite') ? buildSqlite : bootstrap;
  work().catch((error) => {
    console.error(error instanceof SetupError ? error.message : error);
    process.exitCode = 1;
  });
}
