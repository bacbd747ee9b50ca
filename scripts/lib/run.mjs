import { spawn } from 'node:child_process';
import { createWriteStream, accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root, searchPath } from './paths.mjs';

const running = new Set();

/**
 * Runs a program without a terminal and collects what it prints (both streams in one text).
 *
 * Children get a process group of their own, so that a time limit or Ctrl-C ends their children too.
 *
 * @returns {Promise<{ ok: boolean, output: string, reason: string }>} never rejects; `reason` says why `ok` is false
 */
export function run(command, args, { env = {}, logFile, limitMs, cwd = root } = {}) {
  return new Promise((resolve) => {
    let output = '';
    let timedOut = false;
    const log = logFile ? createWriteStream(logFile, { flags: 'a' }) : undefined;
    const child = spawn(command, args, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: searchPath, ...env },
    });
    track(child);
    const limit = limitMs
      ? setTimeout(() => {
          timedOut = true;
          endGroup(child, 'SIGKILL');
        }, limitMs)
      : undefined;
    const collect = (chunk) => {
      output += chunk;
      log?.write(chunk);
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    let failedToStart;
    child.on('error', (error) => (failedToStart = error.message));
    child.on('close', (code, signal) => {
      untrack(child);
      clearTimeout(limit);
      log?.end();
      const reason =
        failedToStart ?? (timedOut ? `took longer than ${limitMs / 1000} s` : (signal ?? (code === 0 ? '' : `exit status ${code}`)));
      resolve({ ok: reason === '', output, reason });
    });
  });
}

/** Where a program is, or undefined. */
export function findProgram(name, path = searchPath) {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it has ended meanwhile
  }
}

// Only while something runs here: a caller such as the quickstart ends in its own way otherwise.
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function endAll() {
  for (const child of running) endGroup(child, 'SIGTERM');
  process.exit(130);
}

function track(child) {
  if (running.size === 0) for (const signal of signals) process.on(signal, endAll);
  running.add(child);
}

function untrack(child) {
  running.delete(child);
  if (running.size === 0) for (const signal of signals) process.off(signal, endAll);
}
