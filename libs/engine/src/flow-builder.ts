import { DynflowError } from '@dynflow/kernel';
import type { Flow } from './flow.js';
import { InvalidPlanError } from './plan-expansion.js';

/** A flow is walked and written by functions that call themselves; no sane plan is this deep. */
const MAX_DEPTH = 1_000;

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
 *
 * Invariant: no composite holds one of its own kind or has only one child. It is kept at each placement and not restored at the end,
 * because it decides what a sibling is: in a concurrence within a concurrence a piece waits for one member, not for all.
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
    const piece = unwrapped(composite);
    if (piece !== null) {
      this.#place(piece, dependencies);
    } else {
      this.#keepOpen(dependencies);
    }
  }

  /** @throws UnresolvedDependencyError, InvalidPlanError for a flow that is too deep */
  build(): Flow {
    const open = this.#stack[0]?.dependencies ?? new Set<number>();
    if (open.size > 0) {
      throw new UnresolvedDependencyError([...open]);
    }
    return toFlow(unwrapped(this.#root) ?? this.#root, 0);
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
    for (const sibling of before) {
      container.children.delete(sibling);
    }
    const [only] = before;
    if (before.size === 1 && only?.kind === 'sequence') {
      adopt(only, piece);
      container.children.add(only);
      return;
    }
    const chain = newComposite('sequence');
    const first = newComposite('concurrence');
    for (const sibling of before) {
      adopt(before.size === 1 ? chain : first, sibling);
    }
    if (first.children.size > 0) {
      adopt(chain, first);
    }
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

/** Puts a piece at the end of a composite; of a piece of the same kind, its children. */
function adopt(parent: Composite, piece: Node): void {
  for (const child of piece.kind === parent.kind ? piece.children : [piece]) {
    child.parent = parent;
    parent.children.add(child);
  }
}

/** The composite without a needless level: its only child, or null if it is empty. */
function unwrapped(composite: Composite): Node | null {
  const [first] = composite.children;
  if (first === undefined || composite.children.size > 1) {
    return first === undefined ? null : composite;
  }
  first.parent = null;
  return first;
}

function toFlow(node: Node, depth: number): Flow {
  if (depth > MAX_DEPTH) {
    throw new InvalidPlanError(`the flow of the plan is more than ${MAX_DEPTH} levels deep`);
  }
  return node.kind === 'atom'
    ? { kind: 'atom', step: node.step }
    : { kind: node.kind, flows: [...node.children].map((child) => toFlow(child, depth + 1)) };
}
