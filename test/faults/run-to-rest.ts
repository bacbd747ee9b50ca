import { join } from 'node:path';
import { startCore, type GatewayCore } from 'dynflow_api';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { Ledger, PortRecorder, type CallPoint } from '@dynflow/testing/faults';
import { ACTS, PLANS, isAtRest, isForResume, isHeldUp, type Views } from './acts.js';
import type { Entry } from './entries.js';
import { pluginsOver } from './plugins.js';

export const LEDGER_FILE = 'ledger.jsonl';
const COMMIT = 'Database.plans.commit';

export interface RunOptions {
  /** Of this run: its ledger. */
  readonly directory: string;
  readonly databaseUrl: string;
  /** Called at each point that is met. */
  readonly onPoint: (point: CallPoint) => void;
  /** Given up after this. */
  readonly limitMs: number;
}

export interface RunEnd {
  readonly views: Views;
  /** Steps that waited without saying for what, whenever they were looked at. */
  readonly mute: readonly string[];
  readonly isTimedOut: boolean;
  /** All plans in the database, whoever knows of them. */
  readonly plans: number;
}

/**
 * Starts a whole gateway on the database, asks of it what its clients have no answer for yet, and waits until there is nothing left
 * to do. The gateway is left running: nothing may happen at its orderly end that a killed one would lack.
 */
export async function runToRest({ directory, databaseUrl, onPoint, limitMs }: RunOptions): Promise<RunEnd> {
  const changes = new Changes();
  const recorder = new PortRecorder((point) => {
    // What only reads for others is no point of a plan, and we look through it ourselves.
    if (!point.call.startsWith('Database.reader')) {
      onPoint(point);
      if (point.call === COMMIT && point.moment === 'after') {
        changes.happened();
      }
    }
  });
  const ledger = recorder.wrap('Ledger', new Ledger<Entry>(join(directory, LEDGER_FILE)));
  const answers = ledger.entries().filter((entry) => entry.kind === 'acknowledged');
  const answered = new Set(answers.map(({ act }) => act));
  const plans = new Set([...PLANS, ...answers.flatMap(({ plan }) => plan ?? [])]);
  const core = await startGateway({ directory, databaseUrl }, ledger, recorder);

  const mute = new Set<string>();
  const timer = setTimeout(() => changes.end(), limitMs);
  const underWay = new Set<string>();
  for (;;) {
    const views: Views = new Map((await core.service.plans([...plans])).map((view) => [view.id, view]));
    const open = ACTS.filter(({ name }) => !answered.has(name));
    for (const act of open.filter(({ name }) => !underWay.has(name))) {
      const when = act.when(views);
      if (when === 'over') {
        answered.add(act.name);
      } else if (when === 'now') {
        underWay.add(act.name);
        void act.perform(core.service).then((answer) => {
          const plan = answer !== undefined && 'plan' in answer ? (answer.plan ?? null) : null;
          ledger.add({ kind: 'acknowledged', act: act.name, plan });
          plans.add(plan ?? PLANS[0] ?? '');
          answered.add(act.name);
          changes.happened();
        });
      }
    }
    for (const { id, steps } of views.values()) {
      steps.filter(({ state, waitingFor }) => state === 'suspended' && !waitingFor).forEach((step) => mute.add(`${id}/${step.id}`));
    }
    const isOver =
      open.length === 0 && [...views.values()].every((view) => (isAtRest(view) && !isForResume(view)) || isHeldUp(view, views));
    if (isOver || changes.isEnded) {
      clearTimeout(timer);
      return { views, mute: [...mute], isTimedOut: !isOver, plans: await core.service.count() };
    }
    await changes.next();
  }
}

async function startGateway(
  { directory, databaseUrl }: Pick<RunOptions, 'directory' | 'databaseUrl'>,
  ledger: Ledger<Entry>,
  recorder: PortRecorder,
): Promise<GatewayCore> {
  const { config } = await loadGatewayConfig({
    env: {
      DYNFLOW_DATABASE_URL: databaseUrl,
      DYNFLOW_SECRET_KEYS_FILE: join(directory, 'keys.json'),
      DYNFLOW_PLUGINS: '',
      DYNFLOW_SLOTS: '20',
      DYNFLOW_LOG_LEVEL: 'warn',
      DYNFLOW_LOG_FORMAT: 'json',
    },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  return startCore({
    config,
    plugins: pluginsOver(ledger).map((plugin) => ({ plugin, settings: {} })),
    log: createLog(config.log),
    wrapPort: (name, port) => recorder.wrap(name, port),
  });
}

/** That something has changed since one last looked. */
class Changes {
  #hasChanged = false;
  #wake: (() => void) | undefined;
  isEnded = false;

  happened(): void {
    this.#hasChanged = true;
    this.#wake?.();
  }

  end(): void {
    this.isEnded = true;
    this.happened();
  }

  async next(): Promise<void> {
    if (!this.#hasChanged) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#hasChanged = false;
    this.#wake = undefined;
  }
}
