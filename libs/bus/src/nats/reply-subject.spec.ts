import { subjects } from '@dynflow/contracts';
import { describe, expect, it } from 'vitest';
import { mayAnswer } from './reply-subject.js';

describe('mayAnswer', () => {
  it.each([
    [subjects.claim(3, 'ssh'), '_I.ssh.abc.1'],
    [subjects.output(3, 'ssh'), '_I.ssh.abc.1'],
    [subjects.store('ssh'), '_I.ssh.abc'],
    [subjects.heartbeat('ssh', 'one'), '_I.ssh.abc'],
    ['dynflow.v1.session.ssh.one', '_I.ssh.abc'],
    [subjects.plan('ssh'), '_I.gateway.abc'],
    [subjects.http('ssh', 'default'), '_I.gateway.abc'],
    [subjects.executor('ssh', 'one'), '_I.gateway.abc'],
    [subjects.gateway(3), '_I.gateway.abc'],
  ])('lets %s be answered to its asker, %s', (subject, reply) => {
    expect(mayAnswer(subject, reply)).toBe(true);
  });

  it.each([
    ['another plugin', subjects.claim(3, 'ssh'), '_I.ansible.abc'],
    ['the gateway, by an executor', subjects.claim(3, 'ssh'), '_I.gateway.abc'],
    ['a plugin whose name begins alike', subjects.store('ssh'), '_I.ssh2.abc'],
    ['a plugin, for a question of the gateway', subjects.plan('ssh'), '_I.ssh.abc'],
    ['the API of the server', subjects.claim(3, 'ssh'), '$JS.API.STREAM.DELETE.INBOX'],
    ['a work queue', subjects.store('ssh'), subjects.inbox(1, 'gateway')],
    ['the prefix itself', subjects.claim(3, 'ssh'), '_I.ssh.'],
    ['the prefix without a dot', subjects.claim(3, 'ssh'), '_I.ssh'],
    ['a wildcard', subjects.claim(3, 'ssh'), '_I.ssh.>'],
    ['a plugin, for a question between gateways', subjects.gateway(3), '_I.ssh.abc'],
    ['anyone, on a work queue', subjects.step('ssh', 'default'), '_I.ssh.abc'],
    ['anyone, on an inbox', subjects.inbox(1, 'ssh'), '_I.ssh.abc'],
    ['anyone, on a foreign subject', 'claim.1.ssh', '_I.ssh.abc'],
    ['anyone, on the API of the server', '$JS.API.INFO', '_I.gateway.abc'],
    ['anyone, on an unknown kind', 'dynflow.v1.other.ssh', '_I.ssh.abc'],
  ])('refuses %s', (_, subject, reply) => {
    expect(mayAnswer(subject, reply)).toBe(false);
  });
});
