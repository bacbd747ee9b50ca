import { readFile, readdir } from 'node:fs/promises';

/** The command lines of all processes of this machine that hold a text; hosts under test are this machine. */
export async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name)) {
      const commandLine = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
      if (commandLine.includes(text)) {
        found.push(commandLine.replaceAll('\0', ' '));
      }
    }
  }
  return found;
}
