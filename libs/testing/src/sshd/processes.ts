import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';

interface Process {
  readonly parent: number;
  readonly program: string;
}

/** The processes of this machine by id, read from `/proc`. */
async function processes(): Promise<Map<number, Process>> {
  const found = new Map<number, Process>();
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The command's name is in parentheses and may hold anything.
    const nameEnd = stat.lastIndexOf(')');
    const parent = Number(stat.slice(nameEnd + 2).split(' ')[1]);
    if (stat !== '') found.set(Number(name), { parent, program: stat.slice(stat.indexOf('(') + 1, nameEnd) });
  }
  return found;
}

/** Kills what descends from a child of ours, not the child itself: all of it, or only one program's processes. */
export async function killChildrenOf(child: ChildProcess, program?: string): Promise<void> {
  const all = await processes();
  const family = new Set([child.pid]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const [pid, { parent }] of all) if (family.has(parent)) family.add(pid);
  }
  family.delete(child.pid);
  for (const pid of family) {
    if (pid === undefined || (program !== undefined && all.get(pid)?.program !== program)) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
}
