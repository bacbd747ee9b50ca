const DEEPEST = 200;

interface Fault {
  /** From the value down, each part with its dot. */
  path: string;
  what: string;
}

/**
 * Why JSON cannot carry a value unchanged, with the place (`output.hosts.0: a function`), or null when it can. Object keys whose value
 * is undefined are fine: they are simply left out.
 */
export function jsonFaultOf(value: unknown, name = 'output'): string | null {
  const fault = faultOf(value, 0);
  return fault === null ? null : `${name}${fault.path}: ${fault.what}`;
}

function faultOf(value: unknown, depth: number): Fault | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null;
    case 'number':
      return Number.isFinite(value) ? null : { path: '', what: `${value} is no JSON number` };
    case 'object':
      return value === null ? null : faultOfObject(value, depth);
    case 'bigint':
    case 'function':
    case 'symbol':
      return { path: '', what: `a ${typeof value}` };
    case 'undefined':
      return { path: '', what: 'undefined' };
  }
}

function faultOfObject(value: object, depth: number): Fault | null {
  if (depth > DEEPEST) {
    return { path: '', what: `nested deeper than ${DEEPEST} levels (or in a circle)` };
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const fault = faultOf(item, depth + 1);
      if (fault !== null) {
        return below(index, fault);
      }
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return { path: '', what: `${value.constructor.name} is not a plain object` };
  }
  for (const [key, item] of Object.entries(value)) {
    const fault = item === undefined ? null : faultOf(item, depth + 1);
    if (fault !== null) {
      return below(key, fault);
    }
  }
  return null;
}

function below(key: string | number, fault: Fault): Fault {
  return { path: `.${key}${fault.path}`, what: fault.what };
}
