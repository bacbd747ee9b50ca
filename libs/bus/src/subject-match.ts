/** True when `subject` is one that `pattern` takes: `*` stands for one token, a last `>` for one or more. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') {
      return tokens.length > index;
    }
    if (token !== '*' && token !== tokens[index]) {
      return false;
    }
  }
  return wanted.length === tokens.length;
}
