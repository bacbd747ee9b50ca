import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { describe, expect, it } from 'vitest';
import { HostJobs } from './host-jobs.js';

const chunk = (output: string, timestamp = 100): JsonObject => ({ output_type: 'stdout', output, timestamp });
const ended = (result: JsonValue[], exitStatus: JsonValue = 0): JsonObject => ({
  result,
  exit_status: exitStatus,
  exit_status_timestamp: 200,
});
const seen = (result: JsonValue[], taskId = 't'): JsonObject => ({
  actions: [
    { input: {}, output: { result: [chunk('not this')] } },
    { input: { task_id: taskId }, output: { result } },
  ],
});

describe('HostJobs', () => {
  it('knows nothing of a task that it was told nothing about', () => {
    const jobs = new HostJobs();
    expect([jobs.rowsOf('t'), jobs.resultOf('t'), jobs.faultsOf('t')]).toEqual([[], undefined, []]);
  });

  it('keys rows by place, or by id where there is one, and keeps the first of a key', () => {
    const jobs = new HostJobs();
    jobs.finish('t', ended([chunk('a'), { ...chunk('b'), id: 'x' }, { ...chunk('again'), id: 'x' }, chunk('c')]));
    expect(jobs.rowsOf('t').map((row) => [row.externalId, row.event])).toEqual([
      ['0', 'a'],
      ['x', 'b'],
      ['3', 'c'],
      ['exit', '0'],
    ]);
  });

  it.each([
    [0, 'success'],
    ['0', 'success'],
    [7, 'failure'],
    [255, 'failure'],
    ['EXCEPTION', 'failure'],
    [null, 'failure'],
  ] as const)('takes the exit status %j as %s', (exitStatus, result) => {
    const jobs = new HostJobs();
    jobs.finish('t', ended([], exitStatus));
    expect(jobs.resultOf('t')).toBe(result);
  });

  it('puts the end a second after the last output when no time is given', () => {
    const jobs = new HostJobs();
    jobs.finish('t', { result: [chunk('a', 100.5)], exit_status: 0 });
    expect(jobs.rowsOf('t').at(-1)).toEqual({ externalId: 'exit', event: '0', eventType: 'exit', timestamp: 101.5 });
  });

  it('drops what comes for a host that has finished', () => {
    const jobs = new HostJobs();
    jobs.finish('t', ended([chunk('a')], 7));
    jobs.finish('t', ended([chunk('a'), chunk('b')], 0));
    expect(jobs.rowsOf('t').map((row) => row.event)).toEqual(['a', '7']);
    expect(jobs.resultOf('t')).toBe('failure');
  });

  it('takes in what a look at the status shows, and only new rows after it', () => {
    const jobs = new HostJobs();
    jobs.observe('t', seen([chunk('a')]));
    expect(jobs.resultOf('t')).toBeUndefined();
    jobs.observe('t', seen([chunk('a'), chunk('b')]));
    jobs.finish('t', ended([chunk('a'), chunk('b'), chunk('c')]));
    expect(jobs.rowsOf('t').map((row) => row.event)).toEqual(['a', 'b', 'c', '0']);
    expect(jobs.resultOf('t')).toBe('success');
  });

  it('shows it when a result was reordered between two looks', () => {
    const jobs = new HostJobs();
    jobs.observe('t', seen([chunk('a')]));
    jobs.finish('t', ended([chunk('b'), chunk('a')]));
    expect(jobs.rowsOf('t').map((row) => row.event)).toEqual(['a', 'a', '0']);
  });

  it('notes a status document without an action of the task', () => {
    const jobs = new HostJobs();
    jobs.observe('t', seen([], 'another'));
    expect(jobs.faultsOf('t')).toEqual(['no action with input.task_id of this task in the status document']);
  });

  it.each([
    ['no result', { exit_status: 0 }, 'result: expected an array'],
    ['a chunk that is no object', ended(['a']), 'result[0].expected an object'],
    ['no output', ended([{ ...chunk('a'), output: null }]), 'result[0].output: expected a string'],
    ['no output type', ended([chunk('a'), { ...chunk('b'), output_type: null }]), 'result[1].output_type: expected a string'],
    ['a time as text', ended([{ ...chunk('a'), timestamp: '1' }]), 'result[0].timestamp: expected a number'],
  ])('counts %s as a fault and the host as failed', (_, data, fault) => {
    const jobs = new HostJobs();
    jobs.finish('t', data);
    expect(jobs.faultsOf('t')).toEqual([fault]);
    expect(jobs.resultOf('t')).toBe('failure');
  });
});
