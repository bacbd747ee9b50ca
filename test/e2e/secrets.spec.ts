import { randomUUID } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAccount, startSshd } from '@dynflow/testing';
import type { Account, Sshd } from '@dynflow/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasLine } from '../support/output.js';
import { isStopped, job, jobEnd, launchJob, launchJobs, untilStatus } from '../support/run-jobs.js';
import type { Stack } from '../support/stack.js';
import { closedPort } from '../support/stack.js';
import { useStack } from '../support/use-stack.js';

/** Words with what is written differently in JSON, in a shell and in a URL. */
const planted = {
  sshPassword: `plänted "ssh\\$1' & ${randomUUID()}`,
  effectiveUserPassword: `plänted "sudo\\$2' & ${randomUUID()}`,
  keyPassphrase: `plänted "key\\$3' & ${randomUUID()}`,
};
/** Not secret: that it is found says that the search finds. */
const control = `control-${randomUUID()}`;

describe.each([{ shape: 'fat' }, { shape: 'thin' }] as const)('$shape: passwords of a job', ({ shape }) => {
  const debug = { DYNFLOW_LOG_LEVEL: 'trace' };
  const current = useStack({ shape, database: 'file', env: debug, executorEnv: debug });
  let host: Sshd;
  let account: Account;
  beforeAll(async () => {
    host = await startSshd({ account: { password: planted.sshPassword } });
    account = await makeAccount({ password: planted.effectiveUserPassword });
  });
  afterAll(async () => {
    await host.stop();
    await account.remove();
  });

  test('are used, and stand nowhere: not while the job runs, nor afterwards', async () => {
    const stack = current();
    // Where the other account may look, too.
    const gate = join(host.dir, 'gate');
    const script = `echo ${control}; id -un; until [ -e ${gate} ] || [ ! -d ${host.dir} ]; do sleep 0.05; done`;
    const secrets = { sshPassword: planted.sshPassword, effectiveUserPassword: planted.effectiveUserPassword };
    const target = { hostname: host.host, sshPort: host.port, sshUser: host.user };
    const good = await launchJob(
      stack,
      job(stack, script, { ...target, ...secrets, effectiveUser: account.name, effectiveUserMethod: 'su' }),
    );
    const bad = await launchJobs(stack, [
      job(stack, 'id', { ...target, ...planted, sshPort: closedPort }),
      job(stack, 'id', { ...target, ...planted, sshPassword: `${planted.sshPassword} wrong` }),
      job(stack, 'id', { ...target, ...secrets, effectiveUser: 'root', effectiveUserMethod: 'su' }),
    ]);
    const hosts = [good, ...bad];
    const plans = hosts.map(({ planId }) => planId);
    await untilStatus(stack, good, hasLine(account.name));
    expect(await placesWith(stack, plans, control)).toContain('status documents');
    await expectNowhere(stack, plans);

    await writeFile(gate, '');
    expect(await jobEnd(stack, good)).toMatchObject({ exitStatus: 0, stdout: `${control}\n${account.name}\n` });
    for (const one of bad) {
      expect((await jobEnd(stack, one)).exitStatus).toBe('EXCEPTION');
    }
    await Promise.all(hosts.map((one) => untilStatus(stack, one, isStopped)));
    const found = await placesWith(stack, plans, control);
    expect(found).toEqual(expect.arrayContaining(['status documents', 'callbacks']));
    expect(found.some((place) => place.includes('dynflow.sqlite'))).toBe(true);
    await expectNowhere(stack, plans);
  });
});

async function expectNowhere(stack: Stack, plans: readonly string[]): Promise<void> {
  for (const secret of Object.values(planted)) {
    expect(await placesWith(stack, plans, secret)).toEqual([]);
  }
}

/** Where a text stands, in any of the ways in which it may be written. */
async function placesWith(stack: Stack, plans: readonly string[], text: string): Promise<string[]> {
  const places = await contents(stack, plans);
  const needles = writings(text);
  return places.filter(([, content]) => needles.some((needle) => content.includes(needle))).map(([place]) => place);
}

async function contents(stack: Stack, plans: readonly string[]): Promise<[string, Buffer][]> {
  const client = stack.client();
  const documents = await client.post('/tasks/statuses', { task_ids: [...plans] });
  const files = (await readdir(stack.dir)).filter((name) => name.startsWith('dynflow.sqlite'));
  const commandLines = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map((pid) => `/proc/${pid}/cmdline`);
  // A process may end while it is looked at.
  const read = async (path: string): Promise<[string, Buffer]> => [path, await readFile(path).catch(() => Buffer.alloc(0))];
  return [
    ['status documents', Buffer.from(documents.text)],
    ['log of the gateway', Buffer.from(stack.gateway.log())],
    ['log of the executor', Buffer.from(stack.executor?.log() ?? '')],
    ['callbacks', Buffer.from(stack.foreman.requests.map(({ rawBody }) => rawBody).join('\n'))],
    ...(await Promise.all([...files.map((name) => join(stack.dir, name)), ...commandLines].map(read))),
  ];
}

/** A text as it is, in JSON, in JSON within JSON, in a URL, in hexadecimal, and in base64 at each of its three offsets. */
function writings(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text).slice(1, -1);
  // Only whole groups of the middle are the same whatever stands before and behind.
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  const asWords = [text, json, JSON.stringify(json).slice(1, -1), encodeURIComponent(text), bytes.toString('hex'), ...base64];
  return [...new Set(asWords)].map((word) => Buffer.from(word));
}
