import { readFile } from 'node:fs/promises';
import { UnavailableError } from '@dynflow/kernel';
import ssh2 from 'ssh2';

/**
 * The public half of a private key, as one line for `authorized_keys`: from the `.pub` file beside it, or worked out from the key.
 *
 * @throws UnavailableError if there is neither: a key with a passphrase and no `.pub` file.
 */
export async function readPublicKey(privateKeyFile: string): Promise<string> {
  try {
    return await readFile(`${privateKeyFile}.pub`, 'utf8');
  } catch {
    const parsed = ssh2.utils.parseKey(await readFile(privateKeyFile));
    if (parsed instanceof Error) {
      throw new UnavailableError(
        'DYN_NO_PUBLIC_KEY',
        `${privateKeyFile}.pub cannot be read, and the key itself does not tell: ${parsed.message}`,
      );
    }
    return `${parsed.type} ${parsed.getPublicSSH().toString('base64')} ${parsed.comment}\n`;
  }
}
