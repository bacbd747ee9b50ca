import { runCommand, defineAction, failUnless } from '@dynflow/plugin';
import { z } from 'zod';
import type { Services } from './settings.js';

const input = z.object({
  name: z.string().min(1),
  /** How often; one greeting a second. */
  times: z.int().min(1).max(3600).default(1),
});

/** Greets somebody with a local program, line by line, until it is done or cancelled. */
export const greet = defineAction<typeof input, Services>({
  name: 'Greet',
  input,
  cancellable: true,
  chunksAs: 'result',
  initialOutput: { result: [] },
  run: async (context) => {
    const { name, times } = context.input;
    const line = `${context.services.settings.salutation}, ${name}!`;
    // Values go in as arguments, never into the script: a name with a quote in it is just a name.
    const script = 'i=1; while :; do printf "%s\\n" "$1"; [ "$i" -ge "$2" ] && exit 0; i=$((i + 1)); sleep 1; done';
    const { exitStatus, isCancelled } = await runCommand(context, {
      command: 'sh',
      args: ['-c', script, 'greet', line, String(times)],
      graceMs: 2_000,
    });
    if (isCancelled) {
      await context.write('stderr', 'The greeting was cancelled.\n');
    }
    await context.store.put('greeted', name, { times }, { index: 'everybody' });
    return { exit_status: exitStatus };
  },
  finalize: failUnless('exit_status', 0, 'The greeting failed'),
});
