import type { Plan } from './model.js';
import { remember } from './moves.js';
import type { Turn } from './turn.js';

/**
 * Notes in the history of a running plan that another process has it now: the end of the execution by the world that had it, and the
 * beginning by this one. Nothing for a plan that this world itself has started.
 */
export function noteHandover(plan: Plan, world: string, turn: Turn): void {
  const last = plan.history.findLast(({ name }) => name === 'start execution');
  if (last !== undefined && last.world !== world) {
    remember(plan, 'terminate execution', last.world ?? 'unknown', turn);
    remember(plan, 'start execution', world, turn);
  }
}
