import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/** Settings of remote execution, under the names that they have always had. In the environment: `DYNFLOW_REMOTE_EXECUTION_…`. */
export const RemoteExecutionSettings = z.object({
  ssh_identity_key_file: z
    .string()
    .default(join(homedir(), '.ssh', 'id_rsa_foreman_proxy'))
    .describe('private key for logins on hosts; its public half is beside it, with .pub'),
  ssh_user: z.string().min(1).default('root').describe('login for jobs that name none'),
  remote_working_dir: z
    .string()
    .regex(/^\//, 'expected an absolute path')
    .default('/var/tmp')
    .describe('where jobs that name no directory keep their files on the host'),
  cleanup_working_dirs: flag.default(true).describe('remove those files after a job that does not say'),
  host_key_policy: z
    .enum(['accept-new', 'strict'])
    .default('accept-new')
    .describe('accept-new trusts a host at first sight and refuses a changed key; strict only knows what is stored'),
  connect_timeout: z.coerce.number().int().min(1).default(10).describe('seconds until a host that does not answer is given up'),
  kill_grace: z.coerce.number().int().min(0).default(10).describe('seconds from TERM to KILL when a job is cancelled'),
});
export type RemoteExecutionSettings = z.output<typeof RemoteExecutionSettings>;
