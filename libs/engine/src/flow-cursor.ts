import { assertNever } from '@dynflow/kernel';
import type { Flow } from './flow.js';

/** What the cursor has to know of a step: is it over, and how. */
export type StepProgress = 'open' | 'finished' | 'failed';

/** What is still to be done of one walk. Kept in a list, not in calls, so that no flow is too long or too deep. */
type Task = { readonly enter: Flow; readonly parent: Position | null } | { readonly leave: Position; readonly hasFailed: boolean };

interface Position {
  readonly flow: Flow;
  readonly parent: Position | null;
  /** Sequence: index of the element under way. Concurrence: branches not over yet. */
  counter: number;
  hasFailed: boolean;
}

/**
 * Walks one flow. It answers "what may start now": at the beginning, and after each step that is over. A failed branch does not stop
 * its siblings; once they are over, nothing behind the failure starts. Each step costs the depth of the tree, not its size.
 *
 * Owns: positions in the flow. Does not own: steps and their states; it asks for them by `progressOf`.
 */
export class FlowCursor {
  readonly #positions = new Map<number, Position>();
  readonly #progressOf: (step: number) => StepProgress;
  #outcome: 'under way' | 'finished' | 'failed' = 'under way';

  /** Steps that are over when the walk begins are passed by: that is how a resumed plan goes on where it stood. */
  constructor(flow: Flow, progressOf: (step: number) => StepProgress) {
    this.#progressOf = progressOf;
    this.#flow = flow;
  }

  readonly #flow: Flow;

  /** `finished`: every element is over and none failed. `failed`: something failed and nothing is outstanding. */
  get outcome(): 'under way' | 'finished' | 'failed' {
    return this.#outcome;
  }

  /** The steps that may start at the beginning. Call it once. */
  begin(): number[] {
    return this.#walk({ enter: this.#flow, parent: null });
  }

  /** The steps that may start now that this one is over. */
  stepIsOver(step: number): number[] {
    const position = this.#positions.get(step);
    if (position === undefined) {
      return [];
    }
    this.#positions.delete(step);
    return this.#walk({ leave: position, hasFailed: this.#progressOf(step) === 'failed' });
  }

  #walk(first: Task): number[] {
    const ready: number[] = [];
    const tasks: Task[] = [first];
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
      if ('enter' in task) {
        this.#enter(task.enter, task.parent, tasks, ready);
      } else {
        this.#leave(task.leave, task.hasFailed, tasks);
      }
    }
    return ready;
  }

  #enter(flow: Flow, parent: Position | null, tasks: Task[], ready: number[]): void {
    const position: Position = { flow, parent, counter: 0, hasFailed: false };
    switch (flow.kind) {
      case 'atom': {
        const progress = this.#progressOf(flow.step);
        if (progress === 'open') {
          this.#positions.set(flow.step, position);
          ready.push(flow.step);
        } else {
          tasks.push({ leave: position, hasFailed: progress === 'failed' });
        }
        return;
      }
      case 'sequence':
        position.counter = -1;
        this.#next(position, flow.flows, tasks);
        return;
      case 'concurrence':
        position.counter = flow.flows.length;
        if (flow.flows.length === 0) {
          tasks.push({ leave: position, hasFailed: false });
        }
        // The last task is done first, and branches start in their order.
        for (const branch of flow.flows.toReversed()) {
          tasks.push({ enter: branch, parent: position });
        }
        return;
      default:
        assertNever(flow);
    }
  }

  #next(position: Position, flows: readonly Flow[], tasks: Task[]): void {
    position.counter += 1;
    const element = flows[position.counter];
    tasks.push(element === undefined ? { leave: position, hasFailed: false } : { enter: element, parent: position });
  }

  #leave(position: Position, hasFailed: boolean, tasks: Task[]): void {
    const { parent } = position;
    if (parent === null) {
      this.#outcome = hasFailed ? 'failed' : 'finished';
      return;
    }
    if (parent.flow.kind === 'sequence') {
      if (hasFailed) {
        tasks.push({ leave: parent, hasFailed: true });
      } else {
        this.#next(parent, parent.flow.flows, tasks);
      }
      return;
    }
    parent.counter -= 1;
    parent.hasFailed ||= hasFailed;
    if (parent.counter === 0) {
      tasks.push({ leave: parent, hasFailed: parent.hasFailed });
    }
  }
}
