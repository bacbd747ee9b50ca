import { messageOf } from '@dynflow/kernel';
import type { ActionCatalogue } from '@dynflow/engine';
import {
  humanizedStateOf,
  type ActionView,
  type GatewayMiddleware,
  type GatewayStacks,
  type PlanView,
  type Plugin,
  type PluginLog,
} from '@dynflow/plugin';

type Present = NonNullable<GatewayMiddleware['present']>;

/**
 * Makes of stored plans what readers see: names of states in the words of an action's author, and whatever middleware and the actions'
 * own filters make of inputs and outputs. Nothing of it is ever stored.
 */
export class PlanPresenter {
  readonly #catalogue: Pick<ActionCatalogue, 'declarationOf'>;
  readonly #stacks: GatewayStacks;
  readonly #log: PluginLog;
  /** The actions' own filters, by full name. */
  readonly #filters = new Map<string, (view: ActionView) => ActionView>();
  readonly #levels = new Map<string, readonly Present[]>();

  constructor(options: { catalogue: Pick<ActionCatalogue, 'declarationOf'>; stacks: GatewayStacks; log: PluginLog }) {
    this.#catalogue = options.catalogue;
    this.#stacks = options.stacks;
    this.#log = options.log;
  }

  add(plugin: Plugin): void {
    for (const { name, present } of plugin.gateway?.actions ?? []) {
      if (present !== undefined) {
        this.#filters.set(`${plugin.name}.${name}`, present);
      }
    }
  }

  /** @param plans as they were read; they are the caller's own and are changed. */
  present(plans: PlanView[]): PlanView[] {
    for (const plan of plans) {
      plan.actions = plan.actions.map((action) => this.#presentAction(action, plan));
    }
    return plans;
  }

  #presentAction(action: ActionView, plan: PlanView): ActionView {
    action.humanizedState = humanizedStateOf(plan, action, this.#catalogue.declarationOf(action.name)?.stateNames ?? {});
    const levels = this.#levelsOf(action.name);
    const filter = this.#filters.get(action.name);
    if (levels.length === 0 && filter === undefined) {
      return action;
    }
    const from = (level: number, view: ActionView): ActionView => {
      const around = levels[level];
      if (around === undefined) {
        return filter === undefined ? view : filter(view);
      }
      return around((changed) => from(level + 1, changed ?? view), view, plan);
    };
    try {
      return from(0, action);
    } catch (error) {
      this.#log.error('an action could not be presented; its input and output are not shown', {
        plan: plan.id,
        action: action.name,
        reason: messageOf(error),
      });
      // It may have been about to hide something.
      return { ...action, input: {}, output: {} };
    }
  }

  #levelsOf(action: string): readonly Present[] {
    let levels = this.#levels.get(action);
    if (levels === undefined) {
      levels = this.#stacks.aroundAction(action).flatMap(({ present }) => (present === undefined ? [] : [present]));
      this.#levels.set(action, levels);
    }
    return levels;
  }
}
