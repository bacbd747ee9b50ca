import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { scriptActionClass } from '@dynflow/testing';
import type { Batch } from './batch.js';
import type { DemoHost } from './hosts.js';
import type { Screen } from './screen.js';
import { tableLines } from './table.js';

const documents = ['README.md', 'docs/what-is-it.md', 'docs/architecture.md', 'docs/configuration.md'];

export interface WhereToLookOptions {
  readonly screen: Screen;
  readonly root: string;
  readonly url: string;
  readonly batch: Batch;
  readonly logFile: string;
  readonly isOnce: boolean;
}

/** Shows the addresses at which the gateway tells more, and the documents to read on. */
export function whereToLook({ screen, root, url, batch, logFile, isOnce }: WhereToLookOptions): void {
  screen.line(screen.paint(isOnce ? 'Where to look on (without --once it all keeps running)' : 'Where to look on', 'bold'));
  const found = documents.filter((document) => existsSync(join(root, document)));
  const rows = [
    ['the batch', `${url}/tasks/${batch.planId}/status`],
    ...batch.runs.map((run) => [run.host.name, `${url}/tasks/${run.planId}/status`]),
    ['what it can do', `${url}/features`],
    ['metrics', `${url}/metrics`],
    ...(isOnce ? [] : [['its log', logFile]]),
    ['documents', found.join('  ')],
  ];
  for (const line of tableLines(rows)) screen.line(`  ${line}`);
}

/** A command for a shell that launches one more job on the first host. */
export function curlCommand(url: string, hosts: readonly DemoHost[]): string {
  const server = hosts[0]?.server;
  const input = {
    hostname: server?.host,
    ssh_port: server?.port,
    ssh_user: server?.user,
    effective_user: server?.user,
    script: 'uname -a; uptime',
  };
  return [
    `curl -s ${url}/tasks/launch -H 'content-type: application/json' -d '{`,
    '  "operation": "single",',
    `  "input": {"action_class": "${scriptActionClass}",`,
    `    "action_input": ${JSON.stringify(input)}}}'`,
  ].join('\n');
}
