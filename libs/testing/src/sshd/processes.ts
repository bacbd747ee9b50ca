import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';

/** The processes of this machine, read from `/proc`: id to parent's id. */
async function parents(): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The command's name is in parentheses and may hold anything.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (stat !== '') found.set(Number(name), parent);
  }
  return found;
}

/** Kills all that descend from a child of ours, not the child itself. */
export async function killChildrenOf(child: ChildProcess): Promise<void> {
  const all = await parents();
  const family = new Set([child.pid]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const [pid, parent] of all) if (family.has(parent)) family.add(pid);
  }
  family.delete(child.pid);
  for (const pid of family) {
    try {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
}
