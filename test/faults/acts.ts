import { randomUUID } from 'node:crypto';
import type { PlanView, TriggerRequest } from '@dynflow/plugin';
import type { GatewayCore } from 'dynflow_api';
import { OUT_OF_PAPER, PAUSE_MS } from './plugins.js';

type Service = GatewayCore['service'];
/** The plans as they were last committed, by id. */
export type Views = ReadonlyMap<string, PlanView>;

/** Something that a client does once. Without an answer it does it again when it can. */
export interface Act {
  readonly name: string;
  /** `over`: there is nothing left to do it to. */
  when(views: Views): 'now' | 'later' | 'over';
  perform(service: Service): Promise<{ plan?: string } | object | void>;
}

export const CHILDREN = ['batch-1', 'batch-2', 'batch-3'];
const TRIGGERS: readonly (TriggerRequest & { id: string })[] = [
  { id: 'three', action: 'faults.Three', input: {} },
  { id: 'waits', action: 'faults.Waits', input: {} },
  { id: 'stopped', action: 'faults.Stopped', input: {} },
  { id: 'paused', action: 'faults.Paused', input: {} },
  { id: 'batch', action: 'faults_local.Batch', input: { children: CHILDREN } },
  { id: 'later', action: 'faults.Later', input: {} },
  { id: 'chained', action: 'faults.Chained', input: {}, schedule: { after: ['later'] } },
];
/** A launch without an id of the client's: only its key keeps it from happening twice. */
const KEYED = { label: 'keyed', action: 'faults.Work', input: { label: 'keyed' }, idempotencyKey: 'order 1' };
/** Every plan with an id of the client's. */
export const PLANS: readonly string[] = [...TRIGGERS.map(({ id }) => id), ...CHILDREN];

export const isAtRest = (view: PlanView | undefined): boolean => view?.state === 'stopped' || view?.state === 'paused';

/** A plan that is to begin after another, which is paused: it says so, and waits for an operator as that does. */
export const isHeldUp = (view: PlanView | undefined, views: Views): boolean =>
  view?.id === 'chained' && view.state === 'scheduled' && view.waitingFor !== null && views.get('later')?.state === 'paused';

/** A plan that waits for a client, which knows what to do. */
export const isForResume = (view: PlanView | undefined): boolean =>
  view?.state === 'paused' && view.steps.some(({ state, error }) => state === 'error' && error?.['message'] === OUT_OF_PAPER);

/** The step of the action with this label. */
function stepOf(view: PlanView | undefined, label: string): { id: number; state: string } | undefined {
  const action = view?.actions.find(({ input }) => input['label'] === label);
  return view?.steps.find(({ id }) => id === action?.runStepId);
}

function whenStepIs(plan: string, label: string, state: string): Act['when'] {
  return (views) => {
    const step = stepOf(views.get(plan), label);
    const isOver = isAtRest(views.get(plan)) || step?.state === 'success' || step?.state === 'error';
    return step?.state === state ? 'now' : isOver ? 'over' : 'later';
  };
}

/** Eight plans at once, one of them later and one after it; two events, a cancel and a resume while they run. */
export const ACTS: readonly Act[] = [
  ...TRIGGERS.map((request): Act => ({
    name: `trigger ${request.id}`,
    // What it is to begin after must be there.
    when: (views) => ((request.schedule?.after ?? []).every((plan) => views.has(plan)) ? 'now' : 'later'),
    perform: (service) =>
      service.trigger(request.id === 'later' ? { ...request, schedule: { startAtMs: Date.now() + PAUSE_MS } } : request),
  })),
  { name: 'trigger keyed', when: () => 'now', perform: (service) => service.trigger({ id: randomUUID(), ...KEYED } as TriggerRequest) },
  say('awaiting', 'suspended'),
  say('listening', 'running'),
  { name: 'cancel', when: whenStepIs('stopped', 'endless', 'running'), perform: (service) => service.cancel('stopped') },
  {
    name: 'resume',
    when: (views) => {
      const view = views.get('paused');
      const isOver = isAtRest(view) || stepOf(view, 'flaky')?.state === 'success';
      return isForResume(view) ? 'now' : isOver ? 'over' : 'later';
    },
    perform: (service) => service.resume('paused'),
  },
];

function say(label: string, whileIt: string): Act {
  return {
    name: `event for ${label}`,
    when: whenStepIs('waits', label, whileIt),
    perform: async (service) => {
      const [view] = await service.plans(['waits']);
      await service.sendEvent('waits', stepOf(view, label)?.id ?? 0, `hello ${label}`);
    },
  };
}
