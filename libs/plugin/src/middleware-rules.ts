import { DynflowError } from '@dynflow/kernel';

/** Code that stands around a phase of actions; its name is what rules know it by. */
export interface NamedMiddleware {
  readonly name: string;
}

/** Where a middleware goes: outside (`before`) or inside (`after`) another, or in its stead. */
export interface MiddlewarePlace {
  before?: string;
  after?: string;
  replace?: string;
}

/** What a plugin or an action says about middleware: use this one, or do not use that one. */
export type MiddlewareRule<M extends NamedMiddleware> =
  { readonly use: M; readonly place: MiddlewarePlace } | { readonly doNotUse: string };

/** A list as authors write it: a middleware by itself is used where it stands. */
export type MiddlewareList<M extends NamedMiddleware> = readonly (M | MiddlewareRule<M>)[];

/** Uses a middleware at a certain place. Names of middleware that is not in use are no constraint. */
export function use<M extends NamedMiddleware>(middleware: M, place: MiddlewarePlace = {}): MiddlewareRule<M> {
  return { use: middleware, place };
}

/** Leaves out a middleware that the plugin, or the action that this one is derived from, uses. A later `use` brings it back. */
export function doNotUse(name: string): { readonly doNotUse: string } {
  return { doNotUse: name };
}

/** Thrown at start for rules that contradict each other. */
export class MiddlewareCycleError extends DynflowError {
  constructor(names: readonly string[], of: string) {
    super('DYN_MIDDLEWARE_CYCLE', `the middleware of ${of} cannot be ordered: each of ${names.join(', ')} has to be outside of the others`);
  }
}

interface Entry<M> {
  middleware: M;
  before: Set<string>;
  after: Set<string>;
  /** Stands in its line: behind those written earlier. One with a place of its own does not. */
  isInLine: boolean;
}

/**
 * Puts middleware in order, the outermost first: the lists one after the other (the plugin's, then those of the actions that one is
 * derived from, then its own), changed by what the rules say. Each middleware is used once.
 *
 * @param of whose it is, for the error.
 * @throws MiddlewareCycleError
 */
export function orderMiddleware<M extends NamedMiddleware>(lists: readonly MiddlewareList<M>[], of: string): M[] {
  const entries = new Map<string, Entry<M>>();
  /** Names that were replaced, by whom. */
  const heirs = new Map<string, string>();
  for (const item of lists.flat()) {
    const rule: MiddlewareRule<M> = 'use' in item || 'doNotUse' in item ? item : { use: item, place: {} };
    if ('doNotUse' in rule) {
      entries.delete(rule.doNotUse);
    } else {
      put(entries, heirs, rule.use, rule.place);
    }
  }
  return sorted([...entries.values()], heirs, of);
}

function put<M extends NamedMiddleware>(
  entries: Map<string, Entry<M>>,
  heirs: Map<string, string>,
  middleware: M,
  { before, after, replace }: MiddlewarePlace,
): void {
  const { name } = middleware;
  heirs.delete(name);
  const place = {
    before: new Set(before === undefined ? [] : [before]),
    after: new Set(after === undefined ? [] : [after]),
    isInLine: before === undefined && after === undefined,
  };
  const replaced = replace === undefined || replace === name ? undefined : entries.get(replace);
  if (replaced !== undefined && replace !== undefined) {
    // In the same place of the list, with the constraints of the one that goes.
    const heir = {
      middleware,
      before: new Set([...replaced.before, ...place.before]),
      after: new Set([...replaced.after, ...place.after]),
    };
    const list = [...entries].filter(([known]) => known !== name);
    entries.clear();
    for (const [known, entry] of list) {
      entries.set(known === replace ? name : known, known === replace ? { ...heir, isInLine: entry.isInLine && place.isInLine } : entry);
    }
    heirs.set(replace, name);
    return;
  }
  const known = entries.get(name);
  if (known === undefined) {
    entries.set(name, { middleware, ...place });
    return;
  }
  place.before.forEach((each) => known.before.add(each));
  place.after.forEach((each) => known.after.add(each));
  known.isInLine &&= place.isInLine;
}

/** Among those that may come next, the one that was written first. */
function sorted<M extends NamedMiddleware>(entries: readonly Entry<M>[], heirs: ReadonlyMap<string, string>, of: string): M[] {
  const byName = new Map(entries.map((entry) => [entry.middleware.name, entry]));
  const outer = new Map<Entry<M>, Set<Entry<M>>>(entries.map((entry) => [entry, new Set()]));
  const find = (name: string): Entry<M> | undefined => {
    const heir = heirs.get(name);
    return byName.get(name) ?? (heir === undefined ? undefined : find(heir));
  };
  let last: Entry<M> | undefined;
  for (const entry of entries) {
    if (entry.isInLine) {
      if (last !== undefined) {
        outer.get(entry)?.add(last);
      }
      last = entry;
    }
    for (const name of entry.before) {
      const inner = find(name);
      if (inner !== undefined) {
        outer.get(inner)?.add(entry);
      }
    }
    for (const name of entry.after) {
      const found = find(name);
      if (found !== undefined) {
        outer.get(entry)?.add(found);
      }
    }
  }
  const order: M[] = [];
  while (outer.size > 0) {
    const next = [...outer].find(([, waitsFor]) => waitsFor.size === 0)?.[0];
    if (next === undefined) {
      throw new MiddlewareCycleError(
        [...outer.keys()].map(({ middleware }) => middleware.name),
        of,
      );
    }
    order.push(next.middleware);
    outer.delete(next);
    outer.forEach((waitsFor) => waitsFor.delete(next));
  }
  return order;
}
