import { assertNever } from '@dynflow/kernel';
import {
  pluginOf,
  type ClaimRequestV1,
  type GrantV1,
  type OutputChunkV1,
  type OutputV1,
  type RefusalV1,
  type ReportV1,
  type SubPlanCounts,
} from '@dynflow/contracts';
import type { Director } from './director.js';
import { actionOf, type Claim, type Plan, type Step } from './model.js';
import { sayProgress } from './progress.js';
import { planEvents } from './planned-events.js';
import type { ActionCatalogue, ReadyToken } from './ports.js';
import { askedSubPlans } from './asked-sub-plans.js';
import type { SubPlans } from './sub-plans.js';
import { timeLimitError } from './time-limit-error.js';
import { tokenOf, type Turn } from './turn.js';

/*
 * What executors say, decided: claims, reports, output. A message is believed only for the plugin of its subject, and only for a step
 * that the sender holds.
 */

/** A grant whose secrets are still sealed with the gateway's own keys. */
export interface SealedGrant extends Omit<GrantV1, 'secrets'> {
  sealedSecrets: string | null;
  /** Top-level input keys that the sealed part has. */
  secretKeys: readonly string[];
}

/** `stillReady`: only this executor cannot have the step; its token is for others. */
export interface Refusal extends RefusalV1 {
  readonly stillReady?: ReadyToken;
}

/** Grants a ready step, and grants it again to the same claim. Everything else is refused with a reason. */
export function decideClaim(options: {
  plan: Plan | undefined;
  plugin: string;
  request: ClaimRequestV1;
  claim: ClaimRequestV1['claims'][number];
  director: Director;
  subPlans: SubPlans;
  serves?: ActionCatalogue['serves'] | undefined;
  turn: Turn;
}): SealedGrant | Refusal {
  const { plan, plugin, request, claim, director, subPlans, turn } = options;
  const refuse = (reason: string): Refusal => ({ claim: claim.claim, result: 'refused', reason });
  const step = plan?.steps[claim.step - 1];
  if (plan === undefined || step === undefined || plan.state !== 'running') {
    return refuse('no such step is waiting: its plan is at rest or unknown');
  }
  if (pluginOf(actionOf(plan, step.action).declaration.name) !== plugin) {
    return refuse('the step belongs to another plugin');
  }
  if (step.state.name === 'running' && step.state.claim?.id === claim.claim) {
    return grant(plan, step, step.state.claim, subPlans.countsOf(plan.id, step.action));
  }
  if (!step.isReady || step.attempt !== claim.attempt) {
    return refuse(step.attempt === claim.attempt ? `the step is ${step.state.name}` : `attempt ${step.attempt} is due`);
  }
  const { executor, startId } = request;
  const { name, version } = actionOf(plan, step.action).declaration;
  if (options.serves?.({ plugin, executor, startId }, name, version) === false) {
    return { ...refuse(`this executor does not serve version ${version} of ${name}`), stillReady: tokenOf(plan, step) };
  }
  const held: Claim = { id: claim.claim, executor, startId, lastReport: 0, tookEvents: step.events.length };
  director.stepClaimed(plan, step, held, turn);
  return grant(plan, step, held, subPlans.countsOf(plan.id, step.action));
}

function grant(plan: Plan, step: Step, claim: Claim, subPlans: SubPlanCounts | undefined): SealedGrant {
  const action = actionOf(plan, step.action);
  const { declaration } = action;
  return {
    claim: claim.id,
    result: 'granted',
    plan: plan.id,
    step: step.id,
    attempt: step.attempt,
    action: declaration.name,
    actionVersion: declaration.version,
    phase: step.kind === 'finalize' ? 'finalize' : 'run',
    input: action.input,
    output: action.output,
    sealedSecrets: declaration.secrets.length > 0 ? plan.sealedSecrets : null,
    secretKeys: declaration.secrets,
    ...(step.checkpoint === undefined ? {} : { checkpoint: step.checkpoint }),
    events: step.events.slice(0, claim.tookEvents).map(({ data }) => data),
    ...(subPlans === undefined ? {} : { subPlans }),
    ...(step.isCancelRequested && declaration.cancelParked === 'invoke' ? { cancel: { force: step.isCancelForced } } : {}),
    nextSeq: step.nextSeq,
  };
}

/** Applies one report once: a doubled one is confirmed again, one of a claim that no longer holds the step is stale. */
export function applyReport(options: {
  plan: Plan | undefined;
  plugin: string;
  message: ReportV1;
  report: ReportV1['reports'][number];
  director: Director;
  catalogue: ActionCatalogue;
  turn: Turn;
  outputLimitBytes: number;
}): void {
  const { plan, plugin, message, report, director, turn, outputLimitBytes } = options;
  const step = plan?.steps[report.step - 1];
  const claim = plan === undefined || step === undefined ? null : heldClaim(plan, step, plugin, report.claim);
  if (plan === undefined || step === undefined || claim === null) {
    turn.confirmReport(plugin, message.executor, report.claim, report.number, 'stale');
    return;
  }
  turn.confirmReport(plugin, message.executor, report.claim, report.number, 'applied');
  if (report.number <= claim.lastReport) {
    return;
  }
  claim.lastReport = report.number;
  step.losses = 0;
  turn.touchStep(plan, step);
  turn.heard.push({ plan, step });
  storeChunks(plan, step, report.chunks, true, turn, outputLimitBytes);
  const { outcome } = report;
  if (step.overLimit !== null && outcome.kind !== 'checkpoint') {
    const output = outcome.kind === 'released' ? undefined : outcome.output;
    director.stepFailed(plan, step, timeLimitError(step.overLimit, 'final'), output, turn);
    return;
  }
  switch (outcome.kind) {
    case 'done':
      director.stepDone(plan, step, outcome.output, turn);
      return;
    case 'failed':
      director.stepFailed(plan, step, outcome.error, outcome.output, turn);
      return;
    case 'suspended': {
      const { subPlans, planEvents: events = [], ...suspension } = outcome;
      const asked = subPlans === undefined ? undefined : askedSubPlans(subPlans, plan, step, options.catalogue);
      if (asked !== undefined && 'error' in asked) {
        director.stepFailed(plan, step, asked.error, outcome.output, turn);
        return;
      }
      planEvents(plan, step, events, `${step.attempt}.${report.number}`, turn);
      director.stepSuspended(plan, step, { ...suspension, askedSubPlans: asked }, turn);
      return;
    }
    case 'released': {
      const waitingFor = 'another executor to take it over';
      director.stepSuspended(plan, step, { checkpoint: outcome.checkpoint, waitingFor, isDue: true }, turn);
      return;
    }
    case 'checkpoint':
      director.mergeOutput(plan, step, outcome.output ?? {}, turn);
      if (outcome.progress !== undefined) {
        sayProgress(step, outcome.progress);
      }
      if (outcome.checkpoint !== undefined) {
        step.checkpoint = outcome.checkpoint;
      }
      planEvents(plan, step, outcome.planEvents ?? [], `${step.attempt}.${report.number}`, turn);
      return;
    default:
      assertNever(outcome);
  }
}

/** Stores live output and confirms how far it is stored. */
export function applyOutput(options: {
  plan: Plan | undefined;
  plugin: string;
  executor: string;
  output: OutputV1['output'][number];
  turn: Turn;
  outputLimitBytes: number;
}): void {
  const { plan, plugin, executor, output, turn, outputLimitBytes } = options;
  const step = plan?.steps[output.step - 1];
  if (plan === undefined || step === undefined || heldClaim(plan, step, plugin, output.claim) === null) {
    return;
  }
  turn.heard.push({ plan, step });
  storeChunks(plan, step, output.chunks, false, turn, outputLimitBytes);
  turn.confirmOutput(plugin, executor, output.claim, step.nextSeq - 1);
}

function heldClaim(plan: Plan, step: Step, plugin: string, claim: string): Claim | null {
  const isPlugins = pluginOf(actionOf(plan, step.action).declaration.name) === plugin;
  return isPlugins && plan.state === 'running' && step.state.name === 'running' && step.state.claim?.id === claim ? step.state.claim : null;
}

/**
 * Numbers that are there already are dropped. A gap means that a message was lost on the way: live output waits for it to be sent
 * again, an outcome does not, because nothing that has happened may be held up by its output.
 */
function storeChunks(
  plan: Plan,
  step: Step,
  chunks: readonly OutputChunkV1[],
  acceptsGap: boolean,
  turn: Turn,
  outputLimitBytes: number,
): void {
  for (const chunk of chunks) {
    if (chunk.seq < step.nextSeq) {
      continue;
    }
    if (chunk.seq > step.nextSeq && !acceptsGap) {
      break;
    }
    const wasFull = step.outputBytes > outputLimitBytes;
    step.nextSeq = chunk.seq + 1;
    step.outputBytes += Buffer.byteLength(chunk.text);
    if (step.outputBytes <= outputLimitBytes) {
      turn.chunks.push({ plan: plan.id, action: step.action, ...chunk });
    } else if (!wasFull) {
      const text = `\n[Output is cut here: more than ${outputLimitBytes} bytes. The job goes on.]\n`;
      turn.chunks.push({ plan: plan.id, action: step.action, ...chunk, kind: 'debug', text });
    }
    turn.touchStep(plan, step);
  }
}
