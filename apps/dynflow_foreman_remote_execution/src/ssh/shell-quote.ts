/**
 * One word for a POSIX shell, whatever the text holds: nothing in it is expanded or ends the word.
 *
 * @throws RangeError for a NUL character, which no argument can hold.
 */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a NUL character cannot be passed to a shell');
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
