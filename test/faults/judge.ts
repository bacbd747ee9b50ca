import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionView, PlanView } from '@dynflow/plugin';
import { CHILDREN, isHeldUp } from './acts.js';
import type { Entry } from './entries.js';
import { CHUNKS } from './plugins.js';

/** What came of a run. */
export interface Run {
  readonly ended: readonly PlanView[];
  readonly mute: readonly string[];
  readonly isTimedOut: boolean;
  readonly ledger: readonly Entry[];
  /** How many plans the database has. */
  readonly plans: number;
}

/** A run whose process was killed, and that another one brought to its end. */
export interface DisturbedRun extends Run {
  /** The plans as each killed process left them. */
  readonly left: readonly PlanView[];
  /** What the database says of itself. */
  readonly integrity: string;
}

type Effect = Extract<Entry, { kind: 'effect' }>;

/** Actions that say of themselves that they may begin again. */
const REPEATABLE = new Set(['faults.Careful', 'faults.Listening', 'faults.Resumable']);

/** Plans whose end follows from that of others. */
const DEPENDS_ON: Readonly<Record<string, readonly string[]>> = { batch: CHILDREN, chained: ['later'] };

/** Everything that is wrong with a run, compared with one that nothing has disturbed. */
export function complaintsOf(run: DisturbedRun, clean: Run): string[] {
  return [
    ...endComplaints(run),
    ...run.mute.map((step) => `the step ${step} waited without saying for what`),
    ...(run.integrity === 'ok' ? [] : [`the database is damaged: ${run.integrity}`]),
    ...(run.plans === clean.plans ? [] : [`there are ${run.plans} plans, not ${clean.plans}`]),
    ...clean.ended.flatMap((expected) => planComplaints(run, clean, expected)),
    ...effectComplaints(run),
    ...callbackComplaints(run),
    ...cancelComplaints(run),
    ...limitComplaints(run),
  ];
}

function endComplaints({ ended, isTimedOut }: Run): string[] {
  const views = new Map(ended.map((view) => [view.id, view]));
  const open = ended.filter((view) => view.state !== 'stopped' && view.state !== 'paused' && !isHeldUp(view, views));
  return [
    ...(isTimedOut ? ['it did not come to an end'] : []),
    ...open.map(({ id, state, steps }) => {
      const waits = steps.flatMap((step) => (step.waitingFor === null ? [] : [`${step.id} waits for ${step.waitingFor}`]));
      return `the plan ${id} is ${state}, its steps ${steps.map((step) => step.state).join(' ')} (${waits.join(', ')})`;
    }),
  ];
}

/** A plan none of whose steps was being run when the process died ends as if nothing had happened; another one may say that it was lost. */
function planComplaints(run: DisturbedRun, clean: Run, expected: PlanView): string[] {
  const name = nameOf(expected);
  const plan = run.ended.find((view) => nameOf(view) === name);
  if (plan === undefined) {
    return [`the plan ${name} is gone`];
  }
  const { id } = plan;
  const lost = lostSteps(run.left, id);
  const isFamilyLost = lost.size > 0 || (DEPENDS_ON[id] ?? []).some((other) => lostSteps(run.left, other).size > 0);
  const complaints: string[] = [];
  if (plan.state === 'paused') {
    const errors = plan.steps.filter(({ state }) => state === 'error');
    const stated = errors.filter(({ id: step, error }) => error?.['code'] === 'DYN_EXECUTOR_LOST' && error['message'] && lost.has(step));
    if (stated.length === 0 || stated.length < errors.length) {
      complaints.push(`the plan ${id} is paused for no good reason: ${JSON.stringify(errors.map(({ error }) => error))}`);
    }
  }
  const [is, should] = [essence(plan), essence(expected)].map((value) => JSON.stringify(value));
  if (!isFamilyLost && is !== should) {
    complaints.push(`the plan ${id} ended otherwise than undisturbed: ${is}, not ${should}`);
  }
  if (plan.state === 'stopped' && plan.result === 'success') {
    complaints.push(...missingEffects(run, clean, expected.id));
  }
  for (const { id: action, output } of plan.actions) {
    const text = textOf(output);
    if (!CHUNKS.join('').startsWith(text)) {
      complaints.push(`the output of action ${action} of ${id} is ${JSON.stringify(text)}`);
    }
  }
  return complaints;
}

/** Steps that were being run by the process that died, of actions that must not run again. */
function lostSteps(left: readonly PlanView[], id: string): Set<number> {
  const views = left.filter((plan) => plan.id === id);
  const isRepeatable = (view: PlanView, action: number): boolean =>
    REPEATABLE.has(view.actions.find((one) => one.id === action)?.name ?? '');
  return new Set(
    views.flatMap((view) =>
      view.steps.filter(({ state, action }) => state === 'running' && !isRepeatable(view, action)).map((step) => step.id),
    ),
  );
}

/** The one plan whose id is not the client's is known by its label. */
function nameOf({ id, label }: PlanView): string {
  return label === 'keyed' ? label : id;
}

/** What must be the same however often it was interrupted. */
function essence({ state, result, steps, actions }: PlanView): JsonObject {
  return {
    state,
    result,
    steps: steps.map((step) => step.state),
    // A receiver that has had a callback before says so.
    outputs: actions.map(({ output }) => ({ ...output, lines: textOf(output), answer: null })),
  };
}

function textOf(output: ActionView['output']): string {
  const lines = (output['lines'] ?? []) as unknown as readonly { output: string; output_type: string }[];
  return lines.flatMap(({ output_type, output: text }) => (output_type === 'debug' ? [] : [text])).join('');
}

function missingEffects(run: Run, clean: Run, id: string): string[] {
  const seen = new Set(effectsOf(run).map(keyOf));
  return effectsOf(clean).flatMap((effect) => (effect.plan === id && !seen.has(keyOf(effect)) ? [`never happened: ${keyOf(effect)}`] : []));
}

function effectComplaints(run: Run): string[] {
  const actions = new Map(run.ended.map((plan) => [plan.id, plan.actions]));
  const isRepeatable = ({ plan, label }: Effect): boolean =>
    REPEATABLE.has(actions.get(plan)?.find(({ input }) => input['label'] === label)?.name ?? '');
  const counts = new Map<string, number>();
  for (const effect of effectsOf(run)) {
    // An action with a finalize method promises that it may be called again.
    if (effect.phase !== 'finalize' && !isRepeatable(effect)) {
      const key = `${effect.plan}/${effect.step} ${effect.label} ${effect.phase}, attempt ${effect.attempt}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts].flatMap(([key, count]) => (count > 1 ? [`happened ${count} times: ${key}`] : []));
}

function callbackComplaints(run: Run): string[] {
  const calls = run.ledger.filter((entry) => entry.kind === 'callback');
  const accepted = calls.filter(({ verdict }) => verdict === 'accepted').length;
  const isTold = run.ended.some(({ id, result, state }) => id === 'three' && state === 'stopped' && result === 'success');
  return [
    ...(accepted > 1 ? [`the callback was accepted ${accepted} times`] : []),
    ...(isTold && accepted === 0 ? ['the callback was never accepted, and its plan is over'] : []),
  ];
}

function cancelComplaints(run: Run): string[] {
  const isCancelled = run.ledger.some((entry) => entry.kind === 'acknowledged' && entry.act === 'cancel');
  const state = run.ended.find(({ id }) => id === 'stopped')?.state;
  return [
    ...(isCancelled && state !== 'stopped' ? [`a plan whose cancel was acknowledged is ${state}`] : []),
    ...(effectsOf(run).some(({ label }) => label === 'never') ? ['what comes after a cancelled step was begun'] : []),
  ];
}

/** Of the sub-plans under a limit of one, and of the steps under another, two were never at work at once. What was at work when the process died is not any more. */
function limitComplaints(run: Run): string[] {
  const atWork = new Map<string, string>();
  const complaints: string[] = [];
  for (const entry of run.ledger) {
    if (entry.kind === 'restart') {
      atWork.clear();
    } else if (entry.kind === 'effect' && (entry.phase === 'begin' || entry.phase === 'end')) {
      const limit = CHILDREN.includes(entry.plan) ? 'batch' : entry.plan;
      const other = atWork.get(limit);
      if (entry.phase === 'end') {
        atWork.delete(limit);
      } else {
        complaints.push(...(other === undefined ? [] : [`${entry.label} began while ${other} was at work`]));
        atWork.set(limit, entry.label);
      }
    }
  }
  return complaints;
}

function effectsOf({ ledger }: Run): Effect[] {
  return ledger.filter((entry) => entry.kind === 'effect');
}

/** An effect with what it saw: references to outputs and events must arrive as they were. What is left of a checkpoint may differ. */
function keyOf({ plan, label, phase, saw }: Effect): string {
  const seen: JsonValue = label === 'r' ? null : saw;
  // The id of a launch by key differs from run to run.
  return `${label === 'keyed' ? '' : plan} ${label} ${phase} ${JSON.stringify(seen)}`;
}
