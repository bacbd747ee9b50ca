import { assertNever } from '@dynflow/kernel';
import type { Flow } from './flow.js';

/** What the cursor has to know of a step: is it over, and how. */
export type StepProgress = 'open' | 'finished' | 'failed';

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
    const ready: number[] = [];
    this.#enter(this.#flow, null, ready);
    return ready;
  }

  /** The steps that may start now that this one is over. */
  stepIsOver(step: number): number[] {
    const position = this.#positions.get(step);
    if (position === undefined) {
      return [];
    }
    this.#positions.delete(step);
    const ready: number[] = [];
    this.#leave(position, this.#progressOf(step) === 'failed', ready);
    return ready;
  }

  #enter(flow: Flow, parent: Position | null, ready: number[]): void {
    const position: Position = { flow, parent, counter: 0, hasFailed: false };
    switch (flow.kind) {
      case 'atom': {
        const progress = this.#progressOf(flow.step);
        if (progress === 'open') {
          this.#positions.set(flow.step, position);
          ready.push(flow.step);
        } else {
          this.#leave(position, progress === 'failed', ready);
        }
        return;
      }
      case 'sequence':
        position.counter = -1;
        this.#next(position, ready);
        return;
      case 'concurrence':
        position.counter = flow.flows.length;
        if (flow.flows.length === 0) {
          this.#leave(position, false, ready);
        }
        for (const branch of flow.flows) {
          this.#enter(branch, position, ready);
        }
        return;
      default:
        assertNever(flow);
    }
  }

  /** Goes on in a sequence. A loop over elements that are over already, so that a long finished sequence does not nest calls. */
  #next(position: Position, ready: number[]): void {
    const { flow } = position;
    if (flow.kind !== 'sequence') {
      return;
    }
    for (;;) {
      position.counter += 1;
      const element = flow.flows[position.counter];
      if (element === undefined) {
        this.#leave(position, false, ready);
        return;
      }
      const progress = element.kind === 'atom' ? this.#progressOf(element.step) : 'open';
      if (progress === 'failed') {
        this.#leave(position, true, ready);
        return;
      }
      if (progress === 'open') {
        this.#enter(element, position, ready);
        return;
      }
    }
  }

  #leave(position: Position, hasFailed: boolean, ready: number[]): void {
    const { parent } = position;
    if (parent === null) {
      this.#outcome = hasFailed ? 'failed' : 'finished';
      return;
    }
    if (parent.flow.kind === 'sequence') {
      if (hasFailed) {
        this.#leave(parent, true, ready);
      } else {
        this.#next(parent, ready);
      }
      return;
    }
    parent.counter -= 1;
    parent.hasFailed ||= hasFailed;
    if (parent.counter === 0) {
      this.#leave(parent, parent.hasFailed, ready);
    }
  }
}
