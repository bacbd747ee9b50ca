/**
 * Compares a value with a *shape*: JSON in which some strings stand for a kind of value instead of themselves. Everything else
 * must be equal, field by field; the order of keys does not matter, that of array elements does.
 *
 * | shape | fits |
 * |---|---|
 * | `"<uuid>"` | an identifier of 36 characters |
 * | `"<time>"` | `YYYY-MM-DD HH:MM:SS.mmm` |
 * | `"<unix time>"` | seconds since 1970 in this century, with or without a fraction: milliseconds do not fit |
 * | `"<float>"`, `"<int>"` | a number from 0 up; a whole one |
 * | `"<class>"`, `"<text>"` | a string that is not empty |
 * | `"<string>"` | any string |
 * | `"<bool>"` | true or false |
 * | `"<secret>"` | null or a mark such as `[hidden]` or `***`, never the secret itself; or an object of only such values |
 * | `"<any>"` | anything that is there |
 * | `"<one of: a, b>"` | one of these strings |
 * | `["<each>", s]` | an array of any length whose elements all fit `s` |
 * | `["<contains>", s, …]` | an array with at least one element for each `s` |
 * | `{"key?": s}` | the key may be missing |
 * | `{"<others>": s}` | further keys may be there if their values fit `s` |
 * | `{"<chunks>": {…}}` | output chunks, see `ChunksShape` |
 */
export type Shape = string | number | boolean | null | readonly Shape[] | { readonly [key: string]: Shape };

/** A place where a value does not fit, as `$.actions[1].output.result: expected …, got …`. */
export type Difference = string;

/**
 * Output as it is kept for a host: how it was cut into chunks is chance, and so is how two streams interleave, therefore the
 * chunks' form is checked one by one and their text as a set of lines.
 */
interface ChunksShape {
  /** The output types that may occur. */
  readonly types: readonly string[];
  /** All lines that there must be, in any order; any text fits unless given. */
  readonly lines?: readonly string[];
  /** The smallest number of chunks; 0 unless given. */
  readonly min?: number;
}

/** Throws one error that lists every difference; returns when `actual` fits. */
export function expectShape(actual: unknown, shape: Shape): void {
  const differences = differencesFrom(actual, shape);
  if (differences.length > 0) {
    throw new Error(
      `the value does not have the expected shape:\n  ${differences.join('\n  ')}\nvalue: ${JSON.stringify(actual, null, 2)}`,
    );
  }
}

/** Every place where `actual` does not fit, none if it does. */
export function differencesFrom(actual: unknown, shape: Shape, path = '$'): Difference[] {
  if (typeof shape === 'string') {
    const kind = kindOf(shape);
    if (kind === undefined) {
      return actual === shape ? [] : [difference(path, JSON.stringify(shape), actual)];
    }
    return kind(actual) ? [] : [difference(path, shape, actual)];
  }
  if (Array.isArray(shape)) {
    return arrayDifferences(actual, shape as readonly Shape[], path);
  }
  if (typeof shape === 'object' && shape !== null) {
    return objectDifferences(actual, shape as { readonly [key: string]: Shape }, path);
  }
  return actual === shape ? [] : [difference(path, JSON.stringify(shape), actual)];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const time = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}$/;
const hiddenMark = /^(\*+|\[[^\]]+\]|<[^>]+>)$/;
const firstUnixTime = 946_684_800;
const lastUnixTime = 4_102_444_800;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;

function isHidden(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) {
    return Object.values(value).every(isHidden);
  }
  return value === null || (typeof value === 'string' && hiddenMark.test(value));
}

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  '<uuid>': (value) => typeof value === 'string' && uuid.test(value),
  '<time>': (value) => typeof value === 'string' && time.test(value),
  '<unix time>': (value) => typeof value === 'number' && value >= firstUnixTime && value < lastUnixTime,
  '<float>': isCount,
  '<int>': (value) => isCount(value) && Number.isInteger(value),
  '<class>': isText,
  '<text>': isText,
  '<string>': (value) => typeof value === 'string',
  '<bool>': (value) => typeof value === 'boolean',
  '<secret>': isHidden,
  '<any>': (value) => value !== undefined,
};

/** The check for a string that stands for a kind of value; undefined for one that stands for itself. */
function kindOf(shape: string): ((value: unknown) => boolean) | undefined {
  const choice = /^<one of: (.+)>$/.exec(shape)?.[1]?.split(', ');
  if (choice !== undefined) {
    return (value) => typeof value === 'string' && choice.includes(value);
  }
  const kind = kinds[shape];
  if (kind === undefined && /^<.*>$/.test(shape)) {
    // A misspelt kind would otherwise be compared as text, and the reader of the failure would search in the wrong place.
    throw new Error(`unknown kind of value in a shape: ${shape}`);
  }
  return kind;
}

function arrayDifferences(actual: unknown, shape: readonly Shape[], path: string): Difference[] {
  if (!Array.isArray(actual)) {
    return [difference(path, 'an array', actual)];
  }
  const [mark, ...rest] = shape;
  if (mark === '<each>') {
    return actual.flatMap((item, index) => differencesFrom(item, rest[0] ?? '<any>', `${path}[${index}]`));
  }
  if (mark === '<contains>') {
    return rest
      .filter((wanted) => !actual.some((item) => differencesFrom(item, wanted).length === 0))
      .map((wanted) => difference(path, `an element that fits ${JSON.stringify(wanted)}`, actual));
  }
  const places = Array.from({ length: Math.max(actual.length, shape.length) }, (_, index) => index);
  return places.flatMap((index) => {
    const place = `${path}[${index}]`;
    const wanted = shape[index];
    if (wanted === undefined) {
      return [`${place}: unexpected element ${JSON.stringify(actual[index])}`];
    }
    return index < actual.length
      ? differencesFrom(actual[index], wanted, place)
      : [`${place}: missing, expected ${JSON.stringify(wanted)}`];
  });
}

function objectDifferences(actual: unknown, shape: { readonly [key: string]: Shape }, path: string): Difference[] {
  if (shape['<chunks>'] !== undefined) {
    return chunkDifferences(actual, shape['<chunks>'] as unknown as ChunksShape, path);
  }
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) {
    return [difference(path, 'an object', actual)];
  }
  const fields = actual as Readonly<Record<string, unknown>>;
  const differences: Difference[] = [];
  const known = new Set<string>();
  for (const [written, wanted] of Object.entries(shape)) {
    if (written === '<others>') {
      continue;
    }
    const isOptional = written.endsWith('?');
    const key = isOptional ? written.slice(0, -1) : written;
    known.add(key);
    const place = placeOf(path, key);
    if (Object.hasOwn(fields, key) && fields[key] !== undefined) {
      differences.push(...differencesFrom(fields[key], wanted, place));
    } else if (!isOptional) {
      differences.push(`${place}: missing, expected ${JSON.stringify(wanted)}`);
    }
  }
  for (const key of Object.keys(fields).filter((name) => !known.has(name) && fields[name] !== undefined)) {
    const others = shape['<others>'];
    const place = placeOf(path, key);
    differences.push(
      ...(others === undefined
        ? [`${place}: unexpected key with ${JSON.stringify(fields[key])}`]
        : differencesFrom(fields[key], others, place)),
    );
  }
  return differences;
}

function chunkDifferences(actual: unknown, shape: ChunksShape, path: string): Difference[] {
  const chunk: Shape = { output_type: `<one of: ${shape.types.join(', ')}>`, output: '<text>', timestamp: '<unix time>', 'id?': '<any>' };
  const differences = arrayDifferences(actual, ['<each>', chunk], path);
  if (differences.length > 0 || !Array.isArray(actual)) {
    return differences;
  }
  const chunks = actual as readonly { output: string; output_type: string }[];
  if (chunks.length < (shape.min ?? 0)) {
    return [difference(path, `at least ${shape.min ?? 0} chunks`, actual)];
  }
  if (shape.lines !== undefined) {
    const lines = shape.types.flatMap((type) => linesOf(chunks.filter((one) => one.output_type === type))).sort();
    const wanted = [...shape.lines].sort();
    return JSON.stringify(lines) === JSON.stringify(wanted) ? [] : [difference(path, `the lines ${JSON.stringify(wanted)}`, lines)];
  }
  return [];
}

/** A stream's lines, put together from its chunks, without their ends; a terminal ends them with CR LF. */
function linesOf(chunks: readonly { output: string }[]): string[] {
  const lines = chunks
    .map((one) => one.output)
    .join('')
    .split(/\r?\n/);
  if (lines.at(-1) === '') {
    lines.pop();
  }
  return lines;
}

function placeOf(path: string, key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function difference(path: string, expected: string, actual: unknown): Difference {
  return `${path}: expected ${expected}, got ${actual === undefined ? 'nothing' : JSON.stringify(actual)}`;
}
