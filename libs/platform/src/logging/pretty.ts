import { inspect } from 'node:util';

/** Where finished lines go: a stream's `write`. */
export interface LineSink {
  write(text: string): unknown;
}

const levels: Readonly<Record<string, { label: string; colour: string }>> = {
  trace: { label: 'TRACE', colour: '\u001b[90m' },
  debug: { label: 'DEBUG', colour: '\u001b[36m' },
  info: { label: 'INFO ', colour: '\u001b[32m' },
  warn: { label: 'WARN ', colour: '\u001b[33m' },
  error: { label: 'ERROR', colour: '\u001b[31m' },
  fatal: { label: 'FATAL', colour: '\u001b[35m' },
};
const grey = '\u001b[90m';
const plain = '\u001b[39m';

/** Turns each JSON line of the logger into one for people: UTC time, level, part, message, facts; stacks below. */
export function prettySink(sink: LineSink, hasColours: boolean): LineSink {
  return {
    write: (line) => {
      for (const one of line.split('\n').filter((text) => text !== '')) {
        sink.write(`${prettyLine(one, hasColours)}\n`);
      }
    },
  };
}

/** One line of JSON as text; what is no JSON object stays as it is. */
export function prettyLine(line: string, hasColours: boolean): string {
  const record = parse(line);
  if (record === undefined) {
    return line;
  }
  const { time, level, context, msg, err, ...facts } = record;
  const { label, colour } = levels[String(level)] ?? { label: String(level), colour: '' };
  const painted = (text: string, paint: string): string => (hasColours && paint !== '' ? `${paint}${text}${plain}` : text);
  const clockTime = typeof time === 'string' ? time.slice(11) : '';
  const where = typeof context === 'string' ? ` [${context}]` : '';
  const error = errorText(err);
  const factTexts = Object.entries(facts).map(([key, value]) => `${key}=${factText(value)}`);
  const head = [painted(clockTime, grey), painted(label, colour), `${oneLine(textOf(msg))}${painted(where, grey)}`].join(' ');
  return [head, painted(factTexts.join(' '), grey), error.line].filter((part) => part !== '').join('  ') + error.below;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function errorText(err: unknown): { line: string; below: string } {
  if (typeof err !== 'object' || err === null) {
    return { line: '', below: '' };
  }
  const { message, code, stack } = err as { message?: unknown; code?: unknown; stack?: unknown };
  const frames = typeof stack === 'string' ? stack.split('\n').filter((text) => /^\s+at /.test(text)) : [];
  const line = [typeof code === 'string' ? code : '', oneLine(textOf(message))].filter((text) => text !== '').join(' ');
  return { line, below: frames.length === 0 ? '' : `\n${frames.join('\n')}` };
}

function factText(value: unknown): string {
  if (typeof value === 'string') {
    return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  }
  return inspect(value, { breakLength: Infinity, compact: true, depth: 8, colors: false });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

/** Control characters in what others sent must not move the terminal's cursor or fake a line. A line feed indents what follows. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll('\n', '\n    ').replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f]/g, '�');
}
