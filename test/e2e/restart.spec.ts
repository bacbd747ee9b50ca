import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasLine, hostOutput } from '../support/output.js';
import { isStopped, job, jobEnd, launchJob, launchJobs, untilStatus } from '../support/run-jobs.js';
import { makeGate, patienceMs } from '../support/story.js';
import { useStack } from '../support/use-stack.js';

describe('a gateway on a database file that is killed', () => {
  const current = useStack({ shape: 'fat', database: 'file', env: { DYNFLOW_SLOTS: '2' } });

  test('while jobs run says of them what it knows, runs those that waited, and none twice', async () => {
    const stack = current();
    const ledger = join(stack.dir, 'ledger');
    const note = (mark: string): string => `echo ${mark} >> ${ledger}; echo ${mark}`;
    const { wait } = makeGate(stack);

    const finished = await launchJob(stack, job(stack, note('finished')));
    await untilStatus(stack, finished, isStopped);
    const before = await stack.client().status(finished.planId);
    const running = await launchJobs(stack, [job(stack, `${note('running-1')}; ${wait}`), job(stack, `${note('running-2')}; ${wait}`)]);
    await Promise.all(running.map((host, index) => untilStatus(stack, host, hasLine(`running-${index + 1}`))));
    const queued = await launchJobs(stack, [job(stack, note('queued-1')), job(stack, note('queued-2')), job(stack, note('queued-3'))]);
    await Promise.all(queued.map((host) => untilStatus(stack, host, ({ state }) => state === 'running')));

    await stack.restartGateway();

    for (const [index, host] of running.entries()) {
      const end = await jobEnd(stack, host);
      expect(end).toMatchObject({ exitStatus: 'EXCEPTION', stdout: `running-${index + 1}\n` });
      expect(end.debug).toMatch(/may still be running/);
      expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'error' });
    }
    for (const [index, host] of queued.entries()) {
      expect(await jobEnd(stack, host)).toMatchObject({ exitStatus: 0, stdout: `queued-${index + 1}\n` });
      expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'success' });
    }
    expect(await stack.client().status(finished.planId)).toEqual(before);
    expect((await readFile(ledger, 'utf8')).trim().split('\n').toSorted()).toEqual([
      'finished',
      'queued-1',
      'queued-2',
      'queued-3',
      'running-1',
      'running-2',
    ]);
    expect(stack.foreman.counts()).toEqual(Object.fromEntries([finished, ...running, ...queued].map(({ taskId }) => [taskId, 1])));
    expect(await stack.client().count('running')).toBe(0);
  });

  test('while Foreman is away delivers to it when both are back', async () => {
    const stack = current();
    await stack.foreman.stop();
    const host = await launchJob(stack, job(stack, 'echo kept'));
    await untilStatus(stack, host, (document) => hostOutput(document).exit_status === 0);
    expect(await untilStatus(stack, host, () => true)).toMatchObject({ state: 'running', result: 'pending' });

    await stack.restartGateway({ whileDown: () => stack.foreman.restart() });

    expect(await jobEnd(stack, host)).toMatchObject({ exitStatus: 0, stdout: 'kept\n' });
    expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'success' });
  });

  test('is not needed for Foreman to get what it missed', async () => {
    const stack = current();
    await stack.foreman.stop();
    const host = await launchJob(stack, job(stack, 'echo kept'));
    await untilStatus(stack, host, (document) => hostOutput(document).exit_status === 0);
    await stack.foreman.restart();
    expect(await jobEnd(stack, host)).toMatchObject({ exitStatus: 0, stdout: 'kept\n' });
    expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'success' });
  });

  test('cancels afterwards what had not begun', async () => {
    const stack = current();
    const { wait } = makeGate(stack);
    const blocking = await launchJobs(stack, [job(stack, `echo here; ${wait}`), job(stack, `echo here; ${wait}`)]);
    await Promise.all(blocking.map((host) => untilStatus(stack, host, hasLine('here'))));
    await stack.restartGateway();
    const host = await launchJob(stack, job(stack, 'echo here; sleep 600'));
    await stack.client().waitForStatus(host.planId, hasLine('here'), { timeoutMs: patienceMs });
    expect(await stack.client().cancel(host.planId)).toBe(1);
    expect((await jobEnd(stack, host)).exitStatus).not.toBe(0);
    for (const lost of blocking) {
      expect((await jobEnd(stack, lost)).exitStatus).toBe('EXCEPTION');
    }
  });
});

describe('a gateway that is told to stop', () => {
  const current = useStack({ shape: 'fat', database: 'file' });

  test('lets running jobs end, and delivers after its next start what it had not delivered', async () => {
    const stack = current();
    const gate = makeGate(stack);
    const host = await launchJob(stack, job(stack, `echo begin; ${gate.wait}; echo end`));
    await untilStatus(stack, host, hasLine('begin'));
    const stopped = stack.gateway.stop();
    await stack.gateway.untilLog(/"msg":"stopping/, { timeoutMs: patienceMs });
    await gate.open();
    await stopped;
    await stack.startGateway();
    expect(await jobEnd(stack, host)).toMatchObject({ exitStatus: 0, stdout: 'begin\nend\n' });
    expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'success' });
  });
});

describe('thin: a gateway that is killed', () => {
  const current = useStack({ shape: 'thin', database: 'file' });

  test('while jobs run is not missed by them: they end as if nothing had been', async () => {
    const stack = current();
    const [gate, ledger] = [makeGate(stack), join(stack.dir, 'ledger')];
    const script = `echo run >> ${ledger}; echo begin; ${gate.wait}; echo end; exit 5`;
    const host = await launchJob(stack, job(stack, script));
    await untilStatus(stack, host, hasLine('begin'));
    await stack.restartGateway({ whileDown: () => gate.open() });
    expect(await jobEnd(stack, host)).toMatchObject({ exitStatus: 5, stdout: 'begin\nend\n', debug: '' });
    expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'error' });
    expect(await readFile(ledger, 'utf8')).toBe('run\n');
    expect(stack.foreman.counts()[host.taskId]).toBe(1);
  });
});
