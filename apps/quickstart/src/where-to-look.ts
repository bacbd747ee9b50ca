import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { scriptActionClass } from '@dynflow/testing';
import type { HostRun } from './batch.js';
import type { DemoHost } from './hosts.js';
import type { Screen } from './screen.js';

const documents = ['docs/what-is-it.md', 'docs/architecture.md', 'docs/configuration.md'];

export interface WhereToLookOptions {
  readonly screen: Screen;
  readonly root: string;
  readonly url: string;
  /** The batch's own plan. */
  readonly planId: string;
  /** The hosts to name. */
  readonly runs: readonly HostRun[];
  /** The gateway's log; none when everything is about to be stopped. */
  readonly logFile: string | undefined;
}

/** Shows the addresses at which the gateway tells more, and the documents to read on. */
export function whereToLook({ screen, root, url, planId, runs, logFile }: WhereToLookOptions): void {
  screen.line(screen.paint(`Where to look on${logFile === undefined ? ' (without --once it keeps running)' : ''}`, 'bold'));
  const plans = [['batch', planId], ...runs.map((run) => [run.host.name, run.planId])];
  // Without indent: an address then just fits into 80 columns.
  for (const [name = '', id = ''] of plans) screen.line(`${name.padEnd(6)} ${url}/tasks/${id}/status`);
  screen.line(`${url}/features  ${url}/metrics`);
  if (logFile !== undefined) screen.line(`its log: ${logFile}`);
  const found = documents.filter((document) => existsSync(join(root, document)));
  screen.line(`to read: ${found.join('  ')}`);
}

/** A command for a shell that launches one more job on the first host. */
export function curlCommand(url: string, hosts: readonly DemoHost[]): string {
  const server = hosts[0]?.server;
  const user = JSON.stringify(server?.user);
  return [
    `curl -s ${url}/tasks/launch \\`,
    "  -H 'content-type: application/json' -d '{",
    '  "operation": "single",',
    '  "input": {',
    `    "action_class": "${scriptActionClass}",`,
    '    "action_input": {',
    `      "hostname": "${server?.host}", "ssh_port": ${server?.port}, "ssh_user": ${user},`,
    `      "effective_user": ${user}, "script": "uname -a; uptime"}}}'`,
  ].join('\n');
}
