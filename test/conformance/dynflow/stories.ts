import type { JsonValue } from '@dynflow/kernel';
import type { PlanNode, RescueStrategy } from '@dynflow/contracts';
import { EngineWorld, type ActionOptions } from '@dynflow/testing/engine';

/** A child in a plan's data. */
export function child(action: string, input: JsonValue = {}, more: { as?: string; when?: string[] } = {}): PlanNode {
  return { kind: 'action', action, input, ...more };
}

export const sequence = (...nodes: PlanNode[]): PlanNode => ({ kind: 'sequence', nodes });
export const concurrence = (...nodes: PlanNode[]): PlanNode => ({ kind: 'concurrence', nodes });

/** The output of a named sibling, or a part of it. */
export const outputOf = (name: string, ...path: string[]): JsonValue => ({ $output: name, path });

/** A world in which actions fail as long as they stand in `broken`: `demo.A run`, `demo.B finalize`. Each logs its run in `ran`. */
export interface BreakableWorld {
  readonly world: EngineWorld;
  readonly broken: Set<string>;
  readonly ran: string[];
  /** Declares an action that may be broken; its output has `<phase>: <attempt>`. */
  declare(name: string, options?: ActionOptions): void;
}

export function breakable(): BreakableWorld {
  const world = new EngineWorld();
  const broken = new Set<string>();
  const ran: string[] = [];
  return {
    world,
    broken,
    ran,
    declare: (name, options = {}) => {
      world.actions.executor(name, options, (grant) => {
        ran.push(`${name} ${grant.phase}`);
        return broken.has(`${name} ${grant.phase}`)
          ? { kind: 'failed', error: { errorClass: 'Broken', message: `${name} is broken`, kind: 'final' } }
          : { kind: 'done', output: { [grant.phase]: grant.attempt, input: grant.input } };
      });
    },
  };
}

/** Actions A, B, C in sequence below `demo.Root`, with finalize phases and a rescue strategy. */
export function threeSteps(options: { rescueStrategy?: RescueStrategy; finalize?: boolean } = {}): BreakableWorld {
  const story = breakable();
  const finalize = { kind: options.finalize === true ? ('run' as const) : ('none' as const) };
  for (const name of ['demo.A', 'demo.B', 'demo.C']) {
    story.declare(name, { rescueStrategy: options.rescueStrategy ?? 'Pause', finalize });
  }
  story.world.actions.composite('demo.Root', [sequence(child('demo.A'), child('demo.B'), child('demo.C'))]);
  return story;
}

/** The named thing or a failure of the test. */
export function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) {
    throw new Error('it is not there');
  }
  return value;
}
