import { DynflowError } from '@dynflow/kernel';

/** One thing that is wrong with the configuration. */
export interface ConfigFault {
  /** The environment's variable; null for a fault of the file as such. */
  variable: string | null;
  /** The key in the file, with the section before a dot; null where a file cannot have it. */
  fileKey: string | null;
  /** Where the value was found; null where one is missing. */
  source: 'environment' | 'file' | 'default' | null;
  /** What would have been right, or what to do. */
  expected: string;
  /** What was found, with secrets hidden; null where nothing was. */
  got: string | null;
}

/** Thrown when the configuration cannot be used: every fault at once, so that one restart mends them all. */
export class ConfigError extends DynflowError {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const lines = faults.map((fault) => `  ${faultText(fault)}`);
    super(
      'DYN_CONFIG_INVALID',
      [`the configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`, ...lines].join('\n'),
      {
        context: { faults: faults.map((fault) => ({ ...fault })) },
      },
    );
    this.faults = faults;
  }
}

/** One fault as a line: `DYNFLOW_PORT (port in the file): expected a TCP port, got "http" from the environment`. */
export function faultText(fault: ConfigFault): string {
  const inFile = fault.fileKey === null ? '' : fault.variable === null ? `${fault.fileKey} in the file` : ` (${fault.fileKey} in the file)`;
  const got = fault.got === null ? '' : `, got ${fault.got}`;
  const from = fault.source === null || fault.got === null ? '' : ` from the ${fault.source}`;
  return `${fault.variable ?? ''}${inFile}: ${fault.expected}${got}${from}`;
}

/** A value as a fault shows it: short, on one line, its kind visible. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

/** The known name that `name` was probably meant to be, or null if none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const allowed = Math.max(2, Math.floor(name.length / 4));
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((one, other) => one.distance - other.distance);
  return ranked[0]?.candidate ?? null;
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries()) {
      const substituted = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(substituted, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
