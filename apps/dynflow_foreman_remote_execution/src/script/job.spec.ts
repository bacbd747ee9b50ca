import { InvalidInputError } from '@dynflow/kernel';
import { describe, expect, it } from 'vitest';
import { parseScriptJob } from './job.js';

describe('parseScriptJob', () => {
  it('takes the least that Foreman may send, with the documented defaults', () => {
    expect(parseScriptJob({ hostname: 'h', script: 'true' })).toEqual({
      hostname: 'h',
      script: 'true',
      ssh_user: 'root',
      ssh_port: 22,
      effective_user: undefined,
      effective_user_method: 'sudo',
      execution_timeout_interval: undefined,
      cleanup_working_dirs: true,
      remote_working_dir: '/var/tmp',
      first_execution: false,
      secrets: {},
    });
  });

  it('takes empty and null values for "not given", and settings that were typed as text', () => {
    const job = parseScriptJob({
      hostname: 'h',
      script: '',
      ssh_user: null,
      ssh_port: '2222',
      effective_user: '',
      effective_user_method: null,
      execution_timeout_interval: '60',
      cleanup_working_dirs: 'false',
      remote_working_dir: ' /srv/work ',
      first_execution: true,
      secrets: { ssh_password: '', key_passphrase: null, effective_user_password: 'x' },
      alternative_names: { fqdn: 'h.example' },
    });
    expect(job).toMatchObject({
      ssh_user: 'root',
      ssh_port: 2222,
      effective_user: undefined,
      effective_user_method: 'sudo',
      execution_timeout_interval: 60,
      cleanup_working_dirs: false,
      remote_working_dir: '/srv/work',
      first_execution: true,
      secrets: { ssh_password: undefined, key_passphrase: undefined, effective_user_password: 'x' },
    });
    expect(job).not.toHaveProperty('alternative_names');
  });

  it.each([
    ['hostname', { script: '' }],
    ['script', { hostname: 'h' }],
    ['ssh_port', { hostname: 'h', script: '', ssh_port: 70_000 }],
    ['ssh_port', { hostname: 'h', script: '', ssh_port: 'ssh' }],
    ['execution_timeout_interval', { hostname: 'h', script: '', execution_timeout_interval: -1 }],
    ['cleanup_working_dirs', { hostname: 'h', script: '', cleanup_working_dirs: 'maybe' }],
    ['secrets.ssh_password', { hostname: 'h', script: '', secrets: { ssh_password: 5 } }],
    ['input', 'not an object'],
  ])('names the field %s that does not fit', (field, input) => {
    const error = (() => {
      try {
        return parseScriptJob(input);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(InvalidInputError);
    expect((error as InvalidInputError).field).toBe(field);
  });
});
