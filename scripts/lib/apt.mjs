import { findProgram, run } from './run.mjs';
import { say, showProgress } from './progress.mjs';

export const isRoot = process.getuid?.() === 0;

/** How a person installs these packages. */
export function installCommand(packages) {
  return `${isRoot ? '' : 'sudo '}apt-get install --no-install-recommends ${packages.join(' ')}`;
}

/**
 * Installs Debian packages if we may (root, and there is an apt-get).
 *
 * @returns {Promise<string | undefined>} why not, or undefined when they are there now
 */
export async function installPackages(packages) {
  if (!isRoot || !findProgram('apt-get')) return `missing: ${packages.join(', ')} (${installCommand(packages)})`;
  say(`Installing Debian packages: ${packages.join(', ')}`);
  const done = showProgress((seconds) => `apt-get: ${packages.join(', ')} (${seconds} s)`);
  try {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    // The lists may be absent in a fresh image, or old: refresh them only when the install needs it.
    const install = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env });
    let result = await install();
    if (!result.ok) {
      await run('apt-get', ['update'], { env });
      result = await install();
    }
    return result.ok ? undefined : `apt-get could not install ${packages.join(', ')} (${result.reason}):\n${result.output.trim()}`;
  } finally {
    done();
  }
}
