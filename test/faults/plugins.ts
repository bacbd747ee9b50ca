import { z } from 'zod';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import {
  StepFailure,
  concurrence,
  defineAction,
  defineLocalAction,
  definePlugin,
  failUnless,
  fromInput,
  outputOf,
  planAction,
  planSelf,
  sequence,
  suspend,
  type Plugin,
  type RunContext,
} from '@dynflow/plugin';
import type { Ledger } from '@dynflow/testing/faults';
import type { Entry } from './entries.js';

/** How long a parked step or a callback waits: long enough that commits happen meanwhile, short enough for hundreds of runs. */
export const PAUSE_MS = 25;
/** What the deliberate failure says; any other pause is not for a client to resume. */
export const OUT_OF_PAPER = 'out of paper';
export const CHUNKS = ['one\n', 'two\n', 'three\n'];

const input = z.looseObject({ label: z.string(), from: z.json().optional() });
type Context = RunContext<z.output<typeof input>>;

/** Actions that write into the ledger whatever they do. */
export function pluginsOver(ledger: Ledger<Entry>): Plugin[] {
  const note = (
    { plan, step, attempt, input: { label, from } }: Context,
    phase: 'run' | 'begin' | 'end' | 'finalize',
    saw?: JsonValue,
  ): void => ledger.add({ kind: 'effect', plan, step, attempt, label, phase, saw: saw ?? from ?? null });
  const settings = (section: string): { section: string; schema: z.ZodObject } => ({ section, schema: z.object({}) });

  /** The ordinary kind: to run it twice would be a defect. */
  const Work = defineAction({
    name: 'Work',
    input,
    chunksAs: 'lines',
    run: async (context: Context) => {
      note(context, 'run');
      for (const line of CHUNKS) {
        await context.write('stdout', line);
      }
      return { word: `${context.input.label}!`, ok: true };
    },
    finalize: async (context: Context) => {
      note(context, 'finalize');
      return Promise.resolve({ final: true });
    },
  });

  /** Takes a moment, so that two at once can be seen in the ledger. */
  const Slow = defineAction({
    name: 'Slow',
    input,
    plan: (given) => [
      planSelf({ label: given.label }),
      planAction('faults.Checked', { label: `${given.label} checked`, from: outputOf('self', 'word') }),
    ],
    run: async (context: Context) => {
      note(context, 'begin');
      await aMoment();
      note(context, 'end');
      return { word: `${context.input.label}!` };
    },
  });

  const Checked = defineAction({
    name: 'Checked',
    input,
    finalize: failUnless('ok', true, 'it was not checked'),
    run: async (context: Context) => {
      note(context, 'run');
      return Promise.resolve({ ok: true });
    },
  });

  /** May be run again after it was lost, and says so. */
  const Careful = defineAction({
    name: 'Careful',
    input,
    idempotent: true,
    run: async (context: Context) => {
      note(context, 'run');
      return Promise.resolve({ word: `${context.input.label}!` });
    },
  });

  /** Goes on from its checkpoint after it was lost. */
  const Resumable = defineAction({
    name: 'Resumable',
    input,
    resumable: true,
    run: async (context: Context) => {
      note(context, 'run', context.checkpoint ?? null);
      context.update({ checkpoint: { half: true } });
      await aMoment();
      return { word: `${context.input.label}!` };
    },
  });

  /** One at a time, whatever plan it is in. */
  const Limited = defineAction({
    name: 'Limited',
    input,
    limits: [{ name: 'one', concurrency: 1 }],
    run: async (context: Context) => {
      note(context, 'begin');
      await aMoment();
      note(context, 'end');
      return { word: `${context.input.label}!` };
    },
  });

  /** Nothing has happened when it fails, so it is run again without anybody's help. */
  const Retried = defineAction({
    name: 'Retried',
    input,
    retry: { maxAttempts: 3, backoffMs: PAUSE_MS, jitter: 0 },
    run: async (context: Context) => {
      note(context, 'run');
      if (context.attempt === 1) {
        throw new StepFailure('not yet', 'retryable');
      }
      return Promise.resolve({ word: 'at last' });
    },
  });

  const Timed = defineAction({
    name: 'Timed',
    input,
    run: async (context: Context) => {
      note(context, 'run', context.checkpoint ?? null);
      return Promise.resolve(
        context.checkpoint === undefined
          ? suspend({ checkpoint: { at: 1 }, waitingFor: 'its timer', wakeAfterMs: PAUSE_MS })
          : { word: 'late' },
      );
    },
  });

  /** Parked until somebody says a word. */
  const Awaiting = defineAction({
    name: 'Awaiting',
    input,
    run: async (context: Context) => {
      const words: JsonValue[] = [];
      // A client without an answer says it again.
      context.onEvent((data) => words.includes(data) || words.push(data));
      note(context, 'run', words);
      return Promise.resolve(words.length === 0 ? suspend({ checkpoint: null, waitingFor: 'a word' }) : { word: words[0] ?? null });
    },
  });

  /** Held by its executor until somebody says a word. */
  const Listening = defineAction({
    name: 'Listening',
    input,
    idempotent: true,
    run: async (context: Context) => {
      note(context, 'run');
      const word = await new Promise<JsonValue>((resolve) => context.onEvent(resolve));
      await aMoment();
      return { word };
    },
  });

  const Endless = defineAction({
    name: 'Endless',
    input,
    cancellable: true,
    run: async (context: Context) => {
      note(context, 'run');
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
      throw new StepFailure('stopped on request');
    },
  });

  const Flaky = defineAction({
    name: 'Flaky',
    input,
    run: async (context: Context) => {
      note(context, 'run');
      if (context.attempt === 1) {
        throw new StepFailure(OUT_OF_PAPER);
      }
      return Promise.resolve({ word: 'printed' });
    },
  });

  const work = (action: string, label: string, from?: JsonValue): ReturnType<typeof planAction> =>
    planAction(`faults.${action}`, { label, ...(from === undefined ? {} : { from }) }, { as: label });
  const of = (name: string, ...nodes: ReturnType<typeof planAction>[]): ReturnType<typeof defineAction> =>
    defineAction({ name, input: z.looseObject({}), plan: [sequence(...nodes)] });

  const Three = of(
    'Three',
    work('Work', 'a'),
    concurrence(work('Work', 'b', outputOf('a', 'word')), work('Careful', 'c', outputOf('a', 'word')), work('Resumable', 'r')),
    work('Work', 'd', outputOf('b', 'word')),
    planAction('faults_local.Callback', { told: outputOf('a', 'lines') }),
  );
  const Waits = of(
    'Waits',
    concurrence(work('Timed', 'timed'), work('Awaiting', 'awaiting'), work('Listening', 'listening')),
    work('Work', 'after'),
  );
  const Stopped = of('Stopped', work('Endless', 'endless'), planAction('faults.Endless', { label: 'never' }));
  const Paused = of('Paused', work('Flaky', 'flaky'), work('Work', 'then', outputOf('flaky', 'word')));

  const Later = of('Later', work('Retried', 'retried'), work('Work', 'late', outputOf('retried', 'word')));
  const Chained = of('Chained', concurrence(work('Limited', 'l1'), work('Limited', 'l2')));

  return [
    definePlugin({
      name: 'faults',
      version: '1.0.0',
      settings: settings('faults'),
      actions: [
        Work,
        Slow,
        Checked,
        Careful,
        Resumable,
        Limited,
        Retried,
        Timed,
        Awaiting,
        Listening,
        Endless,
        Flaky,
        Three,
        Waits,
        Stopped,
        Paused,
        Later,
        Chained,
      ],
    }),
    definePlugin({
      name: 'faults_local',
      version: '1.0.0',
      settings: settings('faults_local'),
      gateway: {
        actions: [Batch, Callback],
        effects: () => ({ post: async (payload) => Promise.resolve(receive(ledger, payload as JsonObject)) }),
      },
    }),
  ];
}

/** Long enough for others to get in between. */
async function aMoment(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Three sub-plans, one at a time. */
const Batch = defineLocalAction({
  name: 'Batch',
  input: z.looseObject({ children: z.array(z.string()) }),
  run: (context) => {
    const { event } = context;
    if (event === undefined) {
      context.spawn(
        context.input.children.map((id) => ({ id, action: 'faults.Slow', input: { label: id } })),
        { concurrencyLimit: 1 },
      );
    }
    return event?.kind === 'subPlans' && event.counts.pending === 0
      ? { kind: 'done', output: { ...event.counts } }
      : { kind: 'suspended', checkpoint: null, waitingFor: 'its sub-plans' };
  },
});

/** Parked until the receiver has accepted it. */
const Callback = defineLocalAction({
  name: 'Callback',
  input: z.looseObject({ told: z.json() }),
  plan: [planSelf({ told: fromInput('told') })],
  run: (context) => {
    const { event } = context;
    if (event?.kind === 'effect' && event.ok) {
      return { kind: 'done', output: { answer: event.value } };
    }
    if (event?.kind === 'effect') {
      return { kind: 'suspended', checkpoint: null, waitingFor: 'the receiver', wakeAfterMs: PAUSE_MS };
    }
    context.effect('post', { plan: context.plan, told: context.input.told });
    return { kind: 'suspended', checkpoint: null, waitingFor: 'the receiver' };
  },
});

/** The other end of the callback: it is not there at first, and knows a second one of the same plan. */
function receive(ledger: Ledger<Entry>, payload: JsonObject): JsonValue {
  const plan = String(payload['plan']);
  const earlier = ledger.entries().filter((entry) => entry.kind === 'callback' && entry.plan === plan);
  const isAccepted = earlier.some((entry) => entry.kind === 'callback' && entry.verdict === 'accepted');
  const verdict = earlier.length === 0 ? 'refused' : isAccepted ? 'known already' : 'accepted';
  ledger.add({ kind: 'callback', plan, verdict, saw: payload['told'] ?? null });
  if (verdict === 'refused') {
    throw new Error('connect ECONNREFUSED');
  }
  return verdict;
}
