/** A moment around one call of a port: a process may be killed there. */
export interface CallPoint {
  /** Port and method: `Database.plans.commit`; a callback that was handed in ends in `()`. */
  readonly call: string;
  /** Counts the calls of this method from 1, in the order in which they began. */
  readonly number: number;
  /** `after`: what the call did is done, and its caller does not know it yet. */
  readonly moment: 'before' | 'after';
}

/** What a point is called in tables and on command lines: `Database.plans.commit#3 after`. */
export function nameOfPoint({ call, number, moment }: CallPoint): string {
  return `${call}#${number} ${moment}`;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Data that has methods, and is no port. */
const DATA: readonly (abstract new (...args: never[]) => unknown)[] = [Map, Set, WeakMap, Date, RegExp, Error, ArrayBuffer, AbortSignal];

/**
 * Stands between a program and its ports and tells of each call, before it begins and when it has ended. What is a port is found by
 * looking: methods, objects with methods that are properties or are given back, and callbacks that are handed in.
 *
 * Calls that an object makes to itself are its own business and are not told.
 */
export class PortRecorder {
  readonly #onPoint: (point: CallPoint) => void;
  readonly #counts = new Map<string, number>();
  readonly #wrapped = new WeakMap<object, object>();

  /** @param onPoint called synchronously; what it throws, the caller of the port gets. */
  constructor(onPoint: (point: CallPoint) => void) {
    this.#onPoint = onPoint;
  }

  /** The same port, its calls recorded under this name. The same object twice gives the same wrapped one. */
  wrap<Port extends object>(name: string, port: Port): Port {
    const known = this.#wrapped.get(port);
    if (known !== undefined) {
      return known as Port;
    }
    const methods = new Map<PropertyKey, unknown>();
    const proxy = new Proxy(port, {
      get: (target, key) => {
        // Not the proxy as `this`: private fields are those of the object itself.
        const value: unknown = Reflect.get(target, key, target);
        if (typeof key === 'symbol') {
          return value;
        }
        if (typeof value === 'function') {
          const method = methods.get(key) ?? this.#method(`${name}.${key}`, value as Method, target);
          methods.set(key, method);
          return method;
        }
        return this.#isPort(value) ? this.wrap(`${name}.${key}`, value) : value;
      },
    });
    this.#wrapped.set(port, proxy);
    return proxy;
  }

  /** A method on its object; a callback, which has none, keeps whatever `this` it is called with. */
  #method(call: string, method: Method, owner?: object): Method {
    // A function of its own: an arrow would not have the callback's `this`.
    const { around, prepare } = { around: this.#around.bind(this), prepare: this.#argument.bind(this) };
    return function recorded(this: unknown, ...args: unknown[]): unknown {
      return around(call, () =>
        method.apply(
          owner ?? this,
          args.map((argument) => prepare(call, argument)),
        ),
      );
    };
  }

  #argument(call: string, argument: unknown): unknown {
    return typeof argument === 'function' ? this.#method(`${call}()`, argument as Method) : argument;
  }

  #around(call: string, perform: () => unknown): unknown {
    const number = (this.#counts.get(call) ?? 0) + 1;
    this.#counts.set(call, number);
    this.#onPoint({ call, number, moment: 'before' });
    const settle = (result: unknown): unknown => {
      this.#onPoint({ call, number, moment: 'after' });
      return this.#isPort(result) ? this.wrap(call, result) : result;
    };
    const result = perform();
    return result instanceof Promise ? result.then(settle) : settle(result);
  }

  #isPort(value: unknown): value is object {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || DATA.some((kind) => value instanceof kind)) {
      return false;
    }
    for (let at: object | null = value; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null) {
      const properties = Object.entries(Object.getOwnPropertyDescriptors(at));
      if (properties.some(([key, { value: property }]) => key !== 'constructor' && typeof property === 'function')) {
        return true;
      }
    }
    return false;
  }
}
