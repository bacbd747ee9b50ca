import { spawn } from 'node:child_process';
import { createWriteStream, accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root, searchPath } from './paths.mjs';

/** What runs, with the time that it gets to end. */
const running = new Map();

/**
 * Runs a program without a terminal and collects what it prints (both streams in one text).
 *
 * Children get a process group of their own, so that a time limit or Ctrl-C ends their children too. At Ctrl-C they are told to end,
 * and killed if they are still there after `graceMs` or at the next Ctrl-C.
 *
 * @returns {Promise<{ ok: boolean, output: string, reason: string }>} never rejects; `reason` says why `ok` is false
 */
export function run(command, args, { env = {}, logFile, limitMs, graceMs = 10_000, cwd = root } = {}) {
  return new Promise((resolve) => {
    // Nothing new is begun, and nobody hears of what was: the process ends with the last child.
    if (isEnding) return;
    let output = '';
    let timedOut = false;
    const log = logFile ? createWriteStream(logFile, { flags: 'a' }) : undefined;
    const child = spawn(command, args, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: searchPath, ...env },
    });
    track(child, graceMs);
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
      clearTimeout(limit);
      untrack(child);
      if (isEnding) return;
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

let isEnding = false;

function endAll() {
  if (isEnding) killAll();
  isEnding = true;
  for (const child of running.keys()) endGroup(child, 'SIGTERM');
  for (const [child, graceMs] of running) setTimeout(() => endGroup(child, 'SIGKILL'), graceMs);
  // In case something that left its group still holds the output.
  setTimeout(killAll, Math.max(...running.values()) + 1_000);
}

function killAll() {
  for (const child of running.keys()) endGroup(child, 'SIGKILL');
  process.exit(130);
}

function track(child, graceMs) {
  if (running.size === 0) for (const signal of signals) process.on(signal, endAll);
  running.set(child, graceMs);
}

function untrack(child) {
  running.delete(child);
  if (running.size > 0) return;
  if (isEnding) process.exit(130);
  for (const signal of signals) process.off(signal, endAll);
}
