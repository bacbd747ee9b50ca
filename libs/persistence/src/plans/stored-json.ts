/**
 * Reads JSON columns of one plan. What somebody has broken from outside is replaced and noted: it must keep no other plan from being
 * listed or loaded.
 */
export class StoredJson {
  /** What is wrong with the plan's rows; null: nothing. The first that was found. */
  fault: string | null = null;

  /** The column's value, or `instead` of what is no JSON. */
  read<T>(column: string, text: string, instead: T): T {
    try {
      return JSON.parse(text) as T;
    } catch {
      this.blame(`${column} is no JSON`);
      return instead;
    }
  }

  /** The same where there may be nothing. */
  readOrNull<T>(column: string, text: string | null): T | null {
    return text === null ? null : this.read<T | null>(column, text, null);
  }

  blame(fault: string): void {
    this.fault ??= fault;
  }
}
