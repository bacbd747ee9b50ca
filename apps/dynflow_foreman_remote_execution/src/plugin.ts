import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { definePlugin } from '@dynflow/plugin';
import { StoredHostKeys } from './known-hosts.js';
import { RunScript, ScriptRunner, type RemoteExecutionServices } from './script-runner.js';
import { RemoteExecutionSettings } from './settings.js';
import { readPublicKey } from './public-key.js';
import { PrivateKeyFile } from './ssh/private-key.js';
import { Ssh2Transport } from './ssh/ssh2-transport.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** Remote execution: scripts on hosts, over SSH. */
export const plugin = definePlugin({
  name: 'dynflow_foreman_remote_execution',
  version,
  settings: { section: 'remote_execution', schema: RemoteExecutionSettings },
  actions: [RunScript, ScriptRunner],
  operations: [{ name: 'ssh', launcher: 'batch', action: 'dynflow_foreman_remote_execution.RunScript' }],
  features: () => [{ name: 'script', capabilities: ['ssh'], settings: {} }],
  aliases: {
    'Proxy::RemoteExecution::Ssh::Actions::RunScript': 'dynflow_foreman_remote_execution.RunScript',
    'ForemanRemoteExecutionCore::Actions::RunScript': 'dynflow_foreman_remote_execution.RunScript',
  },
  routes: [
    {
      method: 'GET',
      path: '/ssh/pubkey',
      access: 'open',
      summary: 'The public key that hosts have to accept',
      handle: async (_request, { settings }: RemoteExecutionServices) => ({
        status: 200,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: await readPublicKey(settings.ssh_identity_key_file),
      }),
    },
  ],
  check: async (settings) => {
    const file = settings.ssh_identity_key_file;
    try {
      await access(file, constants.R_OK);
    } catch {
      const reason = `${file} cannot be read; it is the key for logins on hosts. Make one: ssh-keygen -t ed25519 -N '' -f ${file} (or set DYNFLOW_REMOTE_EXECUTION_SSH_IDENTITY_KEY_FILE)`;
      return { state: 'broken', reason };
    }
    return { state: 'running' };
  },
  start: async ({ settings, store }): Promise<RemoteExecutionServices> =>
    Promise.resolve({
      settings,
      transport: new Ssh2Transport({
        hostKeys: new StoredHostKeys(store),
        privateKey: new PrivateKeyFile(settings.ssh_identity_key_file),
        hostKeyPolicy: settings.host_key_policy,
        connectTimeoutMs: settings.connect_timeout * 1_000,
      }),
    }),
});
