import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isLoopback } from '../net/loopback.js';
import { checkTlsFiles, type TlsFile } from '../tls/check-files.js';
import type { ConfigFault } from './faults.js';
import type { Written } from './gather.js';
import { keyOf, variableOf, type Program, type SettingName, type ReadValues } from './settings.js';

interface Findings {
  faults: ConfigFault[];
  notes: string[];
}

/** What cannot be seen in one setting alone: combinations, and what the paths lead to. Settings that were not readable are null here. */
export function checkRules(program: Program, values: ReadValues, written: ReadonlyMap<SettingName, Written>): Findings {
  const fault = (name: SettingName, expected: string, got: string | null = null): ConfigFault => ({
    variable: variableOf(name),
    fileKey: name === 'config' ? null : keyOf(name),
    source: written.get(name)?.source ?? null,
    expected,
    got,
  });
  if (program === 'executor') {
    const isMissing = values.natsUrl === null && !written.has('natsUrl');
    const nats = checkNats(values, written, fault);
    return {
      faults: [
        ...(isMissing ? [fault('natsUrl', 'is required: an executor in a process of its own reaches its gateway through NATS')] : []),
        ...nats.faults,
      ],
      notes: nats.notes,
    };
  }
  const nats = checkNats(values, written, fault);
  const server = checkServer(values, written, fault);
  const storage = checkStorage(values, written, fault);
  const foreman = checkForeman(values, written, fault);
  return {
    faults: [...server.faults, ...storage.faults, ...nats.faults, ...foreman.faults],
    notes: [...storage.notes, ...server.notes, ...nats.notes, ...foreman.notes],
  };
}

type MakeFault = (name: SettingName, expected: string, got?: string | null) => ConfigFault;

function checkServer(values: ReadValues, written: ReadonlyMap<SettingName, Written>, fault: MakeFault): Findings {
  const { listen } = values;
  const hasTls = written.has('sslCert') || written.has('sslKey');
  const isOpen = listen !== null && !isLoopback(listen) && !hasTls;
  const tls = checkTls({ cert: 'sslCert', key: 'sslKey', ca: 'sslCa' }, values, written, fault);
  return {
    faults: [
      ...(isOpen ? [fault('listen', 'needs DYNFLOW_SSL_CERT and DYNFLOW_SSL_KEY, because it is not a loopback address', listen)] : []),
      ...tls.faults,
    ],
    notes: [
      ...tls.notes,
      ...(hasTls && !written.has('sslCa')
        ? ['DYNFLOW_SSL_CA is not set: no client certificate can be trusted, so routes that need one refuse everybody']
        : []),
    ],
  };
}

function checkNats(values: ReadValues, written: ReadonlyMap<SettingName, Written>, fault: MakeFault): Findings {
  const tls = checkTls({ cert: 'natsSslCert', key: 'natsSslKey', ca: 'natsSslCa' }, values, written, fault);
  const { natsNkeyFile, natsUrl } = values;
  const problem = natsNkeyFile === null ? null : unusableSeed(natsNkeyFile);
  const servers = natsUrl === null ? [] : natsUrl.split(',').map((url) => new URL(url.trim()));
  const isInClear = !written.has('natsSslCa') && servers.some(({ protocol, hostname }) => protocol !== 'tls:' && !isLoopback(hostname));
  return {
    faults: [...tls.faults, ...(problem === null ? [] : [fault('natsNkeyFile', problem, natsNkeyFile)])],
    notes: [
      ...tls.notes,
      ...(isInClear ? ['DYNFLOW_NATS_URL is not tls:// and DYNFLOW_NATS_SSL_CA is not set: what jobs print may go to NATS in clear'] : []),
    ],
  };
}

/** What is wrong with a file that should hold the seed of an nkey of a user; its content is never said. */
function unusableSeed(path: string): string | null {
  try {
    const seed = readFileSync(path, 'utf8').trim();
    return /^SU[A-Z2-7]{56}$/.test(seed) ? null : 'expected a file with nothing but the seed of a user nkey: SU and 56 letters and digits';
  } catch {
    return 'expected a file that can be read';
  }
}

function checkForeman(values: ReadValues, written: ReadonlyMap<SettingName, Written>, fault: MakeFault): Findings {
  const own = { cert: 'foremanSslCert', key: 'foremanSslKey', ca: 'foremanSslCa' } as const;
  // What fell back is checked where it was written.
  const ownOnly = new Map([...written].filter(([, found]) => found.from === undefined));
  const tls = checkTls(own, values, ownOnly, fault);
  const url = values.foremanUrl === null ? null : new URL(values.foremanUrl);
  const isInClear = url?.protocol === 'http:' && !isLoopback(url.hostname);
  return {
    faults: tls.faults,
    notes: [...tls.notes, ...(isInClear ? ['DYNFLOW_FOREMAN_URL is not https: what jobs print goes to Foreman in clear'] : [])],
  };
}

function checkTls(
  names: Readonly<Record<TlsFile, SettingName>>,
  values: ReadValues,
  written: ReadonlyMap<SettingName, Written>,
  fault: MakeFault,
): Findings {
  const pathOf = (file: TlsFile): string | null => (written.has(names[file]) ? (values[names[file]] as string | null) : null);
  const faults: ConfigFault[] = [];
  for (const [one, other] of [
    [names.cert, names.key],
    [names.key, names.cert],
  ] as const) {
    if (written.has(one) && !written.has(other)) {
      faults.push(fault(other, `is required together with ${variableOf(one)}`));
    }
  }
  const checked = checkTlsFiles({ cert: pathOf('cert'), key: pathOf('key'), ca: pathOf('ca') });
  faults.push(...checked.problems.map(({ file, problem }) => fault(names[file], problem, pathOf(file))));
  return { faults, notes: checked.warnings.map(({ file, problem }) => `${variableOf(names[file])} ${problem}`) };
}

function checkStorage(values: ReadValues, written: ReadonlyMap<SettingName, Written>, fault: MakeFault): Findings {
  const { databaseUrl, secretKeysFile } = values;
  const faults: ConfigFault[] = [];
  const notes: string[] = [];
  if (databaseUrl?.kind === 'sqlite-memory' && written.has('natsUrl')) {
    faults.push(
      fault(
        'databaseUrl',
        'expected sqlite:/path/to/file or postgres://…, because DYNFLOW_NATS_URL is set: executors outlive a gateway, and so must the database',
        databaseUrl.url,
      ),
    );
  } else if (databaseUrl?.kind === 'sqlite-memory') {
    notes.push('plans are kept in memory: a restart loses all jobs; DYNFLOW_DATABASE_URL=sqlite:/path/to/file keeps them');
  }
  if (databaseUrl?.kind === 'sqlite-file') {
    faults.push(...unusable(databaseUrl.path).map((problem) => fault('databaseUrl', problem, databaseUrl.path)));
  }
  if (databaseUrl?.kind === 'postgres' && !written.has('secretKeysFile')) {
    faults.push(fault('secretKeysFile', 'is required with PostgreSQL: every gateway of the database needs the same keys'));
  }
  if (secretKeysFile !== null) {
    faults.push(...unusable(secretKeysFile).map((problem) => fault('secretKeysFile', problem, secretKeysFile)));
  }
  return { faults, notes };
}

/** Why a file could not be opened for writing, or made. */
function unusable(path: string): string[] {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isFile() === false) {
    return ['expected a file'];
  }
  const directory = dirname(path);
  if (there === undefined && statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return [`expected a file in a directory that exists, but there is no directory ${directory}`];
  }
  try {
    accessSync(
      there === undefined ? directory : path,
      there === undefined ? constants.W_OK | constants.X_OK : constants.R_OK | constants.W_OK,
    );
    return [];
  } catch {
    return [there === undefined ? `expected a directory that this user may write to` : 'expected a file that this user may read and write'];
  }
}
