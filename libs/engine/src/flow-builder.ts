import { DynflowError } from '@dynflow/kernel';
import { flatten, type Flow } from './flow.js';

/** A composite under construction; it knows its parent, so that the place of a step is found by climbing. */
interface Composite {
  readonly kind: 'sequence' | 'concurrence';
  parent: Composite | null;
  readonly children: Set<Node>;
}

interface Atom {
  readonly kind: 'atom';
  readonly step: number;
  parent: Composite | null;
}

type Node = Composite | Atom;

/** Thrown when a plan refers to the output of a step that can never come before. */
export class UnresolvedDependencyError extends DynflowError {
  constructor(steps: readonly number[]) {
    super('DYN_UNRESOLVED_DEPENDENCY', `the plan depends on steps that are not in its flow: ${steps.join(', ')}`);
  }
}

/**
 * Builds a run flow the way Dynflow's planning does: pieces are added in planning order to the current sequence or concurrence, and in
 * a concurrence a piece that depends on steps of its siblings is put behind just those siblings. Linear in the number of steps.
 */
export class FlowBuilder {
  readonly #root: Composite = newComposite('concurrence');
  readonly #stack: { composite: Composite; dependencies: Set<number> }[] = [{ composite: this.#root, dependencies: new Set() }];
  readonly #atoms = new Map<number, Atom>();

  /** Adds a step that needs the outputs of `dependencies`. */
  addStep(step: number, dependencies: readonly number[]): void {
    const atom: Atom = { kind: 'atom', step, parent: null };
    this.#atoms.set(step, atom);
    this.#place(atom, new Set(dependencies));
  }

  /** Everything that `fill` adds goes into a composite of this kind, which is then placed as one piece. */
  nest(kind: 'sequence' | 'concurrence', fill: () => void): void {
    const composite = newComposite(kind);
    this.#stack.push({ composite, dependencies: new Set() });
    fill();
    const { dependencies } = this.#stack.pop() ?? { dependencies: new Set<number>() };
    if (composite.children.size > 0) {
      this.#place(composite, dependencies);
    } else {
      this.#keepOpen(dependencies);
    }
  }

  /** @throws UnresolvedDependencyError */
  build(): Flow {
    const open = this.#stack[0]?.dependencies ?? new Set<number>();
    if (open.size > 0) {
      throw new UnresolvedDependencyError([...open]);
    }
    return flatten(toFlow(this.#root));
  }

  #place(piece: Node, dependencies: Set<number>): void {
    const top = this.#stack.at(-1);
    if (top === undefined) {
      throw new Error('the stack of composites is never empty');
    }
    const container = top.composite;
    const before = new Set<Node>();
    for (const step of dependencies) {
      const sibling = this.#childHolding(container, step);
      if (sibling !== undefined) {
        before.add(sibling);
        dependencies.delete(step);
      }
    }
    this.#keepOpen(dependencies);
    if (container.kind === 'sequence' || before.size === 0) {
      adopt(container, piece);
      return;
    }
    const first = newComposite('concurrence');
    for (const sibling of before) {
      container.children.delete(sibling);
      adopt(first, sibling);
    }
    const chain = newComposite('sequence');
    adopt(chain, first);
    adopt(chain, piece);
    adopt(container, chain);
  }

  /** A dependency that cannot be met at this level stays open for the enclosing one. */
  #keepOpen(dependencies: Set<number>): void {
    for (const step of dependencies) {
      this.#stack.at(-1)?.dependencies.add(step);
    }
  }

  #childHolding(container: Composite, step: number): Node | undefined {
    let node: Node | undefined = this.#atoms.get(step);
    while (node !== undefined && node.parent !== container) {
      node = node.parent ?? undefined;
    }
    return node;
  }
}

function newComposite(kind: Composite['kind']): Composite {
  return { kind, parent: null, children: new Set() };
}

function adopt(parent: Composite, child: Node): void {
  child.parent = parent;
  parent.children.add(child);
}

function toFlow(node: Node): Flow {
  return node.kind === 'atom' ? { kind: 'atom', step: node.step } : { kind: node.kind, flows: [...node.children].map(toFlow) };
}
