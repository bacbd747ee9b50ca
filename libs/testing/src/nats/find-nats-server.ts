import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Streams and permissions are tested against this version; Debian's package is years older and behaves differently. */
const MINIMUM = [2, 15] as const;

/**
 * The nats-server to test with: the one on PATH if it is new enough, else the one that the set-up put into the checkout's
 * `.cache/bin`.
 *
 * @throws Error that says how to get one.
 */
export function findNatsServer(): string {
  const candidates = ['nats-server', ...cachedServers(import.meta.dirname)];
  const found = candidates.find(isNewEnough);
  if (found === undefined) {
    throw new Error(`no nats-server ${MINIMUM.join('.')} or newer: neither on PATH nor in .cache/bin; "npm test" fetches one`);
  }
  return found;
}

function isNewEnough(command: string): boolean {
  const { stdout, status } = spawnSync(command, ['-v'], { encoding: 'utf8' });
  const version = status === 0 ? /v(\d+)\.(\d+)/.exec(stdout) : null;
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}

function cachedServers(directory: string): string[] {
  const server = join(directory, '.cache/bin/nats-server');
  if (existsSync(server)) {
    return [server];
  }
  const parent = dirname(directory);
  return parent === directory ? [] : cachedServers(parent);
}
