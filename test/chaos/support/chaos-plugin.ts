import { spawn } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
// Jobs take their time; nothing here waits for anything to happen.
// oxlint-disable-next-line no-restricted-imports
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '@dynflow/kernel';
import {
  defineAction,
  definePlugin,
  failUnless,
  fromInput,
  inputWithout,
  outputOf,
  planAction,
  planSelf,
  release,
  type ActionDefinition,
  type RunContext,
} from '@dynflow/plugin';
import { z } from 'zod';

/** A line in a file outside the system, on disk when this returns: how often something really happened is counted there. */
export function enter(ledger: string, line: string): void {
  const file = openSync(ledger, 'a');
  writeSync(file, `${line}\n`);
  fsyncSync(file);
  closeSync(file);
}

/** What a job has besides its own input: Foreman's callback. */
const base = { ledger: z.string(), key: z.string(), callback: z.unknown().optional(), proxy_url: z.string().optional() };

const asJob: Pick<
  ActionDefinition,
  'plan' | 'cancellable' | 'chunksAs' | 'initialOutput' | 'rescueStrategy' | 'abandonedOutput' | 'finalize'
> = {
  plan: [
    planSelf(inputWithout('callback')),
    planAction('dynflow_foreman_tasks.Callback', { callback: fromInput('callback'), data: outputOf('self') }, { when: ['callback'] }),
  ],
  cancellable: true,
  chunksAs: 'result',
  initialOutput: { result: [] },
  rescueStrategy: 'Fail',
  abandonedOutput: { exit_status: 'EXCEPTION' },
  finalize: failUnless('exit_status', 0, 'The job failed'),
};

const markInput = z.object({
  ...base,
  /** How long it works. */
  ms: z.number().default(0),
  /** Works without giving its thread free. */
  isBlocking: z.boolean().default(false),
  /** Kills its own process, as a step does that no executor survives. */
  isPoison: z.boolean().default(false),
});

/** Something that must not happen twice: the lines `<key> begin` and `<key> end`. */
const mark = defineAction({
  ...asJob,
  name: 'Mark',
  input: markInput,
  run: async (context: RunContext<z.output<typeof markInput>>) => {
    const { ledger, key, ms, isBlocking, isPoison } = context.input;
    enter(ledger, `${key} begin`);
    if (isPoison) {
      process.kill(process.pid, 'SIGKILL');
    }
    await context.write('stdout', `${key} works\n`);
    if (isBlocking) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    } else {
      await pause(ms, undefined, { signal: context.signal }).catch(() => undefined);
    }
    enter(ledger, `${key} end`);
    return { exit_status: context.signal.aborted ? 130 : 0 };
  },
});

const detachedInput = z.object({ ...base, lines: z.number(), everyMs: z.number() });
const Checkpoint = z.object({ log: z.string(), offset: z.number() });

/**
 * A job that goes on without its executor: a process of its own that writes a log, followed by byte offset. Who takes it over finds it by
 * the checkpoint and begins nothing.
 */
const detached = defineAction({
  ...asJob,
  name: 'Detached',
  input: detachedInput,
  resumable: true,
  run: async (context: RunContext<z.output<typeof detachedInput>>) => {
    const { ledger, key, lines, everyMs } = context.input;
    const known = Checkpoint.safeParse(context.checkpoint);
    const log = known.success ? known.data.log : `${ledger}.${key}.log`;
    let offset = known.success ? known.data.offset : 0;
    // The log itself says whether it was begun: a checkpoint may be lost with the executor that wrote it.
    if (!existsSync(log)) {
      const script = 'i=1; while [ "$i" -le "$1" ]; do echo "line $i" >> "$2"; sleep "$3"; i=$((i + 1)); done; echo done >> "$2"';
      enter(ledger, `${key} begin`);
      closeSync(openSync(log, 'a'));
      spawn('sh', ['-c', script, 'detached', String(lines), log, String(everyMs / 1_000)], { detached: true, stdio: 'ignore' }).unref();
      context.update({ checkpoint: { log, offset } });
    }
    for (;;) {
      const text = readFileSync(log, 'utf8').slice(offset);
      if (text !== '') {
        await context.write('stdout', text.replace(/done\n$/, ''));
        offset += text.length;
        context.update({ checkpoint: { log, offset } });
      }
      if (text.endsWith('done\n')) {
        return { exit_status: 0 };
      }
      if (context.draining.aborted) {
        return release({ log, offset });
      }
      await pause(everyMs / 2);
    }
  },
});

/** Jobs of the chaos suite. They stand for those of the real executors: what must not run twice, and what can be taken over. */
export const chaosPlugin = definePlugin({
  name: 'chaos',
  version: '1.0.0',
  settings: { section: 'chaos', schema: z.object({}) },
  actions: [mark, detached],
  operations: [{ name: 'chaos', launcher: 'batch', action: 'chaos.Mark' }],
  features: (): { name: string; capabilities: string[]; settings: JsonObject }[] => [{ name: 'chaos', capabilities: [], settings: {} }],
});
