/** Resolved with the first value that `look` gives: at once, or when `subscribe`'s callback is called. */
export async function once<Value>(subscribe: (check: () => void) => () => void, look: () => Value | undefined | false): Promise<Value> {
  return new Promise((resolve) => {
    const check = (): boolean => {
      const value = look();
      if (value === undefined || value === false) {
        return false;
      }
      unsubscribe();
      resolve(value);
      return true;
    };
    let unsubscribe: () => void = () => undefined;
    if (!check()) {
      unsubscribe = subscribe(() => void check());
    }
  });
}
