import { randomUUID } from 'node:crypto';
import type { RunContext } from '@dynflow/plugin';
import { defineAction, failUnless, fromInput, inputWithout, outputOf, planAction, planSelf } from '@dynflow/plugin';
import { z } from 'zod';
import { scriptJobSchema, settableJobKeys, type ScriptJob } from './script/job.js';
import { runScript } from './script/run-script.js';
import type { RemoteExecutionSettings } from './settings.js';
import type { SshTransport } from './ssh/transport.js';

/** What all jobs of an executor share. */
export interface RemoteExecutionServices {
  readonly transport: SshTransport;
  readonly settings: RemoteExecutionSettings;
}

/** What only Foreman adds to a job; kept with the plan, not looked at by the run. */
const foremanKeys = {
  callback: z.looseObject({ task_id: z.string() }).nullish(),
  current_request_id: z.string().nullish(),
};

const jobInput = scriptJobSchema.extend({ ...settableJobKeys, ...foremanKeys });

/** The job as it is run: what it does not say itself, the settings say. */
export function withSettings(job: z.output<typeof jobInput>, settings: RemoteExecutionSettings): ScriptJob {
  return {
    ...job,
    ssh_user: job.ssh_user ?? settings.ssh_user,
    remote_working_dir: job.remote_working_dir ?? settings.remote_working_dir,
    cleanup_working_dirs: job.cleanup_working_dirs ?? settings.cleanup_working_dirs,
  };
}

/** Runs one script on one host. Its output is what Foreman shows, its exit status what Foreman judges by. */
export const ScriptRunner = defineAction({
  name: 'ScriptRunner',
  input: jobInput,
  secrets: ['secrets'],
  plan: [
    planSelf(inputWithout('callback')),
    planAction(
      'dynflow_foreman_tasks.Callback',
      { callback: fromInput('callback'), data: outputOf('self'), current_request_id: fromInput('current_request_id') },
      { when: ['callback'] },
    ),
  ],
  cancellable: true,
  rescueStrategy: 'Fail',
  initialOutput: {},
  chunksAs: 'result',
  abandonedOutput: { exit_status: 'EXCEPTION' },
  finalize: failUnless('exit_status', 0, 'Script execution failed'),
  run: async (context: RunContext<z.output<typeof jobInput>, RemoteExecutionServices>) => {
    const runnerId = randomUUID();
    context.update({ output: { runner_id: runnerId } });
    const { transport, settings } = context.services;
    const { exitStatus } = await runScript(
      withSettings(context.input, settings),
      { transport, write: (type, text) => context.write(type, text) },
      context.signal,
      {
        id: runnerId,
        graceMs: settings.kill_grace * 1_000,
      },
    );
    return { exit_status: exitStatus, exit_status_timestamp: Date.now() / 1_000 };
  },
});

/** What Foreman launches: it only plans the run, so that other ways of running a script can stand beside it. */
export const RunScript = defineAction({
  name: 'RunScript',
  input: jobInput,
  secrets: ['secrets'],
  plan: [
    planSelf({ current_request_id: fromInput('current_request_id') }),
    planAction('dynflow_foreman_remote_execution.ScriptRunner', inputWithout()),
  ],
  rescueStrategy: 'Fail',
});
