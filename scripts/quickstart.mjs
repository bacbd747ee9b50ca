// `npm run quickstart`. What must come before dependencies and a build is here, in plain Node; the rest is apps/quickstart.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { ensureBuilt } from './build.mjs';
import { root } from './lib/paths.mjs';
import { findLoopback, tryPort } from './quickstart/loopback.mjs';
import { help, parseOptions } from './quickstart/options.mjs';

process.exitCode = await main();

async function main() {
  const options = readOptions();
  if (options === undefined) return 2;
  if (options.isHelp) {
    process.stdout.write(help);
    return 0;
  }
  try {
    // First of all, because it takes a moment and installing takes minutes.
    const address = await chooseAddress(options);
    if (!options.isBuilt) {
      await bootstrap();
      await ensureBuilt();
    }
    return await run({ ...options, ...address });
  } catch (error) {
    console.error(error.message);
    return 1;
  }
}

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`quickstart: ${error.message}\n\n${help}`);
    return undefined;
  }
}

async function chooseAddress({ port }) {
  const host = await findLoopback();
  if (host === undefined) throw new Error('This machine has no loopback address that works, neither 127.0.0.1 nor ::1.');
  const found = await tryPort(host, port);
  if (found.port !== undefined) return { host, port: found.port };
  const free = (await tryPort(host, 8018)).port ?? (await tryPort(host, 0)).port;
  const reason = found.code === 'EADDRINUSE' ? 'is taken: another program listens there' : `cannot be listened on (${found.code})`;
  throw new Error(`Port ${port} on ${host} ${reason}. Choose another one: npm run quickstart -- --port ${free}`);
}

async function run({ host, port, hostCount, isOnce }) {
  const stop = stopOnSignals();
  // All temporary files of everything that is started go into one place, which is removed however this ends.
  const dir = mkdtempSync(join(tmpdir(), 'dynflow-quickstart-'));
  // An sshd's login may look for its key file there with other rights than ours.
  chmodSync(dir, 0o711);
  process.on('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  process.env.TMPDIR = dir;

  const { runQuickstart } = await import(pathToFileURL(join(root, 'apps/quickstart/dist/index.js')).href);
  const ownEnv = Object.entries(process.env).filter(([name]) => !name.startsWith('DYNFLOW_'));
  return runQuickstart({
    root,
    dir,
    host,
    port,
    hostCount,
    isOnce,
    screen: screenOptions(),
    env: Object.fromEntries(ownEnv),
    signal: stop.signal,
  });
}

function screenOptions() {
  const { CI, NO_COLOR, TERM, LC_ALL, LC_CTYPE, LANG } = process.env;
  const isTerminal = process.stdout.isTTY === true && !CI && TERM !== 'dumb';
  return {
    target: process.stdout,
    isTerminal,
    hasColours: isTerminal && !NO_COLOR,
    hasUnicode: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ''),
  };
}

/** The first signal stops in good order, a second one at once. A reader that goes away (`| head`) stops it too. */
function stopOnSignals() {
  const controller = new AbortController();
  const end = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, end);
  process.stdout.on('error', () => controller.abort());
  process.stderr.on('error', () => controller.abort());
  return controller;
}
