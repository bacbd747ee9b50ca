import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, isRoot } from './apt.mjs';
import { cache, root } from './paths.mjs';
import { say, showProgress } from './progress.mjs';
import { run } from './run.mjs';

/**
 * Sees to it that `.cache/python/<name>` is a virtual environment with what the requirements file asks for; made anew when that changes.
 *
 * @returns {Promise<string | undefined>} why there is none, or undefined
 */
export async function provideVirtualenv(name, requirements) {
  const folder = join(cache, 'python', name);
  const wanted = readFileSync(join(root, requirements));
  const mark = createHash('sha256').update(wanted).digest('hex');
  const marker = join(folder, 'requirements.sha256');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === mark) return undefined;

  say(`Making a Python environment from ${requirements}`);
  mkdirSync(join(cache, 'python'), { recursive: true });
  const done = showProgress((seconds) => `  ${name}… ${seconds} s`);
  try {
    let failure = await install('python3', folder, requirements);
    if (failure !== undefined && isRoot && !existsSync(join(folder, 'bin/pip'))) {
      failure = (await installPackages(['python3', 'python3-venv'])) ?? (await install('/usr/bin/python3', folder, requirements));
    }
    if (failure === undefined) writeFileSync(marker, mark);
    return failure;
  } finally {
    done();
  }
}

async function install(python, folder, requirements) {
  rmSync(folder, { recursive: true, force: true });
  const made = await run(python, ['-m', 'venv', folder]);
  if (!made.ok) return `${python} -m venv: ${made.output.trim() || made.reason}`;
  const installed = await run(join(folder, 'bin/pip'), ['install', '--quiet', '-r', join(root, requirements)]);
  return installed.ok ? undefined : `pip install -r ${requirements}: ${installed.output.trim()}`;
}
