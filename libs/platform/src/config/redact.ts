export const hidden = '[hidden]';

/** A URL, or several with commas between, without what may be secret in it: passwords, tokens, secret query parameters. */
export function withoutUrlSecrets(text: string): string {
  return text
    .replaceAll(/(:\/\/)([^/?#,\s]*)@/g, (_, slashes: string, credentials: string) => {
      const colon = credentials.indexOf(':');
      // Without a password the name may be a token, which is how NATS writes one.
      return colon < 0 ? `${slashes}${hidden}@` : `${slashes}${credentials.slice(0, colon)}:${hidden}@`;
    })
    .replaceAll(/([?&][^=&#\s]*(?:pass|secret|token|key)[^=&#\s]*=)[^&#,\s]*/gi, `$1${hidden}`);
}

/** Like `withoutUrlSecrets` for a text that is not a proper URL, where a password may hold any character. */
export function withoutAnythingSecret(text: string): string {
  const at = text.lastIndexOf('@');
  const slashes = text.indexOf('://');
  const start = slashes < 0 ? 0 : slashes + 3;
  return at < start ? withoutUrlSecrets(text) : `${text.slice(0, start)}${hidden}${withoutUrlSecrets(text.slice(at))}`;
}

/** True for the name of a setting that holds a secret, unless its author said otherwise. Files with secrets are no secrets. */
export function looksSecret(name: string): boolean {
  return /(password|passphrase|passwd|secret|token|credential)/i.test(name) && !/(_file|_path|_dir|_url)$/i.test(name);
}
