import type { RescueStrategy } from '@dynflow/contracts';
import type { Plan } from './model.js';

/**
 * What is to become of a plan that failed: each action with a step in error suggests its strategy, and an action combines what its
 * children suggest with its own: all Skip → Skip, all Fail → Fail, anything else → Pause. Actions without an error suggest nothing.
 */
export function rescueStrategyOf(plan: Plan): RescueStrategy {
  const suggestions = new Set<RescueStrategy>();
  for (const step of plan.steps) {
    if (step.state.name === 'error') {
      const action = plan.actions[step.action - 1];
      suggestions.add(action?.declaration.rescueStrategy ?? 'Pause');
    }
  }
  const [only] = suggestions;
  return suggestions.size === 1 && only !== undefined ? only : 'Pause';
}
