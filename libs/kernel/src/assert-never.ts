/** Ends an exhaustive `switch`: a new member of the union that nobody handles is a compile error here. */
export function assertNever(value: never): never {
  throw new Error(`a case that must not exist: ${JSON.stringify(value)}`);
}
