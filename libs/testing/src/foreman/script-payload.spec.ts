import { describe, expect, it } from 'vitest';
import { scriptActionClass, scriptBatchPayload } from './script-payload.js';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('scriptBatchPayload', () => {
  it('writes the keys that Foreman writes, in its order, with nulls for what is not set', () => {
    const { payload } = scriptBatchPayload([{ hostname: '192.0.2.11', script: 'id -u\n', planId: 'p', taskId: 't' }], {
      proxyUrl: 'https://proxy.example.com:9090',
    });

    // Compared as text: the order of keys is part of it.
    expect(JSON.stringify(payload)).toBe(
      '{"input":{"p":{"action_input":{"proxy_operation_name":"ssh","time_to_pickup":86400,"ssh_user":"root","effective_user":"root",' +
        '"effective_user_method":"sudo","cleanup_working_dirs":true,"remote_working_dir":"/var/tmp","ssh_port":22,"hostname":"192.0.2.11",' +
        '"script":"id -u\\n","execution_timeout_interval":null,' +
        '"secrets":{"ssh_password":null,"key_passphrase":null,"effective_user_password":null},"use_batch_triggering":true,' +
        '"first_execution":false,"alternative_names":{"fqdn":"192.0.2.11"},' +
        '"connection_options":{"retry_interval":15,"retry_count":4,"proxy_batch_triggering":true},' +
        `"proxy_url":"https://proxy.example.com:9090","proxy_action_name":"${scriptActionClass}",` +
        `"callback":{"task_id":"t","step_id":3}},"action_class":"${scriptActionClass}"}},"operation":"ssh","options":{}}`,
    );
  });

  it('takes what a job sets', () => {
    const { payload } = scriptBatchPayload(
      [
        {
          hostname: 'h',
          script: 's',
          planId: 'p',
          fqdn: 'h.example.com',
          sshUser: 'admin',
          sshPort: 2222,
          effectiveUser: 'app',
          effectiveUserMethod: 'su',
          sshPassword: 'pw',
          keyPassphrase: 'kp',
          effectiveUserPassword: 'ep',
          executionTimeoutIntervalSeconds: 600,
          isFirstExecution: true,
          cleanupWorkingDirs: false,
          remoteWorkingDir: '/tmp',
          stepId: 5,
          extra: { time_to_pickup: null, current_user_id: 4 },
        },
      ],
      { proxyUrl: 'http://p', operation: 'salt' },
    );

    expect(payload).toMatchObject({
      operation: 'salt',
      input: {
        p: {
          action_input: {
            proxy_operation_name: 'salt',
            time_to_pickup: null,
            ssh_user: 'admin',
            ssh_port: 2222,
            effective_user: 'app',
            effective_user_method: 'su',
            cleanup_working_dirs: false,
            remote_working_dir: '/tmp',
            execution_timeout_interval: 600,
            secrets: { ssh_password: 'pw', key_passphrase: 'kp', effective_user_password: 'ep' },
            first_execution: true,
            alternative_names: { fqdn: 'h.example.com' },
            callback: { step_id: 5 },
            current_user_id: 4,
          },
        },
      },
    });
  });

  it('gives every host a plan id and a task id of its own', () => {
    const job = { hostname: 'h', script: 's' };
    const { payload, hosts } = scriptBatchPayload([job, job], { proxyUrl: 'http://p' });

    const ids = hosts.flatMap((host) => [host.planId, host.taskId]);
    expect(new Set(ids).size).toBe(4);
    expect(ids.every((id) => uuid.test(id))).toBe(true);
    expect(Object.keys(payload['input'] ?? {})).toEqual(hosts.map((host) => host.planId));
  });
});
