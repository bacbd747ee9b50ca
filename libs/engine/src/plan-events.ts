import type { PlanEvent, PlanEventKind } from '@dynflow/contracts';
import { guard, type EngineOptions } from './engine-parts.js';
import { planResult, type Plan } from './model.js';
import type { PlanHooks } from './ports.js';
import type { PlanState } from './states.js';
import type { Turn } from './turn.js';

interface HookedAction {
  readonly id: number;
  readonly name: string;
  readonly isRoot: boolean;
  readonly kinds: ReadonlySet<PlanEventKind>;
}

/**
 * Tells hooks of the states that plans came into.
 *
 * Owns: which action's hooks hear of what. Does not own: the states, the hooks' code.
 *
 * Invariants:
 * H1. What is told has been committed, in the order in which it happened.
 * H2. Each state is told at most once: a process that dies between commit and call has not told it, and nobody tells it again.
 * H3. Before a plan is planned it has only its root action, whatever it will plan.
 */
export class PlanEvents {
  readonly #options: EngineOptions;
  /** By plan, found when first needed. */
  readonly #hooked = new WeakMap<Plan, HookedAction[]>();

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  tell(turn: Turn): void {
    const { hooks } = this.#options;
    if (hooks === undefined) {
      return;
    }
    for (const { plan, state } of turn.entered) {
      for (const action of this.#hookedActionsOf(plan, hooks)) {
        const isUnplanned = state === 'pending' || state === 'scheduled' || state === 'planning';
        for (const kind of isUnplanned && !action.isRoot ? [] : kindsFor(plan, state)) {
          if (action.kinds.has(kind)) {
            guard(this.#options, `a hook of ${action.name} failed`, () => hooks.call(eventOf(plan, state, kind, action)));
          }
        }
      }
    }
  }

  #hookedActionsOf(plan: Plan, hooks: PlanHooks): readonly HookedAction[] {
    let hooked = this.#hooked.get(plan);
    if (hooked === undefined) {
      hooked = [];
      const add = (id: number, name: string, isRoot: boolean): void => {
        const kinds = hooks.kindsOf(name);
        if (kinds !== undefined) {
          hooked?.push({ id, name, isRoot, kinds });
        }
      };
      if (plan.request === null) {
        for (const { id, declaration, callerAction } of plan.actions) {
          add(id, declaration.name, callerAction === null);
        }
      } else {
        add(1, plan.request.action, true);
      }
      this.#hooked.set(plan, hooked);
    }
    return hooked;
  }
}

function kindsFor(plan: Plan, state: PlanState): PlanEventKind[] {
  return state === 'stopped' ? [state, planResult(plan) === 'success' ? 'success' : 'failure'] : [state];
}

function eventOf(plan: Plan, state: PlanState, kind: PlanEventKind, action: HookedAction): PlanEvent {
  return {
    kind,
    plan: plan.id,
    label: plan.label,
    state,
    result: planResult(plan),
    callerPlan: plan.callerPlan,
    action: { id: action.id, name: action.name },
    isRootAction: action.isRoot,
  };
}
