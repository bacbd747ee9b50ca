import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InvalidInputError } from '@dynflow/kernel';
import { GATEWAY_USER, makeNkey, natsServerConfig, publicNkeyOf, type NatsServerUser } from '@dynflow/bus';
import { SubjectToken } from '@dynflow/contracts';

/** What `dynflow_api nats-config` is told. */
export interface NatsConfigRequest {
  readonly out: string;
  readonly plugins: readonly string[];
  readonly listen: string;
  readonly storeDir: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

export interface WrittenNatsConfig {
  readonly config: string;
  /** By user: the file with its seed. */
  readonly seeds: ReadonlyMap<string, string>;
}

/**
 * Writes `nats.conf` and, for the gateway and each plugin, `<user>.nk` with the seed of its nkey (mode 0600). A seed that is there is
 * kept, so that a second call with one more plugin changes nobody else's login.
 *
 * @throws InvalidInputError for a plugin's name that cannot stand in a subject, and for half of a TLS pair.
 */
export async function writeNatsConfig(request: NatsConfigRequest): Promise<WrittenNatsConfig> {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca } = request;
  if ((cert === undefined) !== (key === undefined)) {
    throw new InvalidInputError('--tls-cert', '--tls-cert and --tls-key belong together: give both or none');
  }
  for (const plugin of request.plugins) {
    if (!SubjectToken.safeParse(plugin).success || plugin === GATEWAY_USER) {
      throw new InvalidInputError('--plugins', `--plugins: "${plugin}" cannot be a plugin's name: expected letters, digits, "_" or "-"`);
    }
  }
  const out = resolve(request.out);
  await mkdir(out, { recursive: true });
  const seeds = new Map<string, string>();
  const users: NatsServerUser[] = [];
  for (const name of [GATEWAY_USER, ...new Set(request.plugins)]) {
    const file = join(out, `${name}.nk`);
    seeds.set(name, file);
    users.push({ name, login: { nkey: await nkeyIn(file) } });
  }
  const config = join(out, 'nats.conf');
  const tls = cert === undefined || key === undefined ? {} : { tls: { cert, key, ...(ca === undefined ? {} : { ca }) } };
  await writeFile(config, natsServerConfig({ listen: request.listen, storeDir: request.storeDir, users, ...tls }));
  return { config, seeds };
}

async function nkeyIn(file: string): Promise<string> {
  const { seed, publicKey } = makeNkey();
  try {
    await writeFile(file, `${seed}\n`, { mode: 0o600, flag: 'wx' });
    return publicKey;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      return publicNkeyOf((await readFile(file, 'utf8')).trim());
    }
    throw error;
  }
}
