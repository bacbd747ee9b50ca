import { assertNever, type JsonValue } from '@dynflow/kernel';

/** The order of a plan's steps: a tree of atoms (step ids), sequences and concurrences. */
export type Flow = { kind: 'atom'; step: number } | { kind: 'sequence'; flows: Flow[] } | { kind: 'concurrence'; flows: Flow[] };

/** Flows never change, and their plan's row is written at each of its changes: a wide one is encoded once. */
const ENCODED = new WeakMap<Flow, JsonValue>();

/** Dynflow's encoding: an atom is its step id, composites are `["S" | "C", …]`. Not to be changed by whoever gets it. */
export function encodeFlow(flow: Flow): JsonValue {
  if (flow.kind === 'atom') {
    return flow.step;
  }
  const encoded = ENCODED.get(flow) ?? [letterOf(flow.kind), ...flow.flows.map(encodeFlow)];
  ENCODED.set(flow, encoded);
  return encoded;
}

function letterOf(kind: 'sequence' | 'concurrence'): 'S' | 'C' {
  switch (kind) {
    case 'sequence':
      return 'S';
    case 'concurrence':
      return 'C';
    default:
      return assertNever(kind);
  }
}

/** The reverse of {@link encodeFlow}. @throws Error for anything else than that encoding. */
export function decodeFlow(encoded: JsonValue): Flow {
  if (typeof encoded === 'number') {
    return { kind: 'atom', step: encoded };
  }
  if (Array.isArray(encoded) && (encoded[0] === 'S' || encoded[0] === 'C')) {
    return { kind: encoded[0] === 'S' ? 'sequence' : 'concurrence', flows: encoded.slice(1).map(decodeFlow) };
  }
  throw new Error(`not an encoded flow: ${JSON.stringify(encoded)}`);
}

/** Inlines nested composites of one kind, unwraps composites of one child and drops empty ones. */
export function flatten(flow: Flow): Flow {
  if (flow.kind === 'atom') {
    return flow;
  }
  const flows: Flow[] = [];
  for (const child of flow.flows.map(flatten)) {
    if (child.kind === flow.kind) {
      // One by one: a spread of very many arguments overflows the stack.
      child.flows.forEach((inner) => flows.push(inner));
    } else if (child.kind === 'atom' || child.flows.length > 0) {
      flows.push(child);
    }
  }
  const [only] = flows;
  return flows.length === 1 && only !== undefined ? only : { kind: flow.kind, flows };
}
