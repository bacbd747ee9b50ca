import {
  byteSize,
  database,
  duration,
  durationOrForever,
  host,
  integer,
  integerOr,
  listenHost,
  listOf,
  natsUrl,
  oneOf,
  packageName,
  path,
  subjectToken,
  url,
  type Kind,
} from './kinds.js';

/** The two kinds of process. */
export type Program = 'gateway' | 'executor';

/** One setting: what drives parsing, `--help`, `--print-config` and the table in `docs/configuration.md`. */
export interface Setting<Value> {
  group: SettingGroup;
  kind: Kind<Value>;
  /** As one would write it; null where there is none, or where `defaultNote` says how it comes about. */
  default: string | null;
  defaultNote?: string;
  help: string;
  example: string;
  /** `value`: never shown. `url`: shown without the credentials in it. */
  secret?: 'value' | 'url';
  /** Who uses it. It is accepted everywhere, so that one environment can serve several processes. */
  programs: readonly Program[];
  /** True when a plugin that declares a setting of the same name gets this value. */
  isShared?: boolean;
  /** False when the file cannot hold it. */
  isInFile?: boolean;
  /** True when there is always a value although `default` is null, because reading the configuration works one out. */
  isComputed?: boolean;
}

export const settingGroups = ['Server', 'Storage', 'Plugins and executors', 'Foreman', 'Limits', 'Logging'] as const;
export type SettingGroup = (typeof settingGroups)[number];

type WithDefault<Value> = Omit<Setting<Value>, 'default'> & { default: string };
type Computed<Value> = Omit<Setting<Value>, 'default' | 'isComputed'> & { default: null; isComputed: true };
type WithoutDefault<Value> = Omit<Setting<Value>, 'default' | 'isComputed'> & { default: null };

function setting<Value>(declaration: WithDefault<Value>): Setting<Value>;
function setting<Value>(declaration: Computed<Value>): Setting<Value>;
function setting<Value>(declaration: WithoutDefault<Value>): Setting<Value | null>;
function setting<Value>(declaration: Setting<Value>): Setting<Value | null> {
  return declaration;
}

const gateway = ['gateway'] as const;
const both = ['gateway', 'executor'] as const;
const aYearMs = 366 * 86_400_000;

/**
 * Every setting that is not a plugin's. The variable is `DYNFLOW_` and the name in upper snake case, the key in the file the
 * name in snake case.
 */
export const settings = {
  config: setting({
    group: 'Server',
    kind: path,
    default: null,
    help: 'A YAML file with settings. The environment wins over it.',
    example: '/etc/dynflow_api/config.yml',
    programs: both,
    isInFile: false,
  }),
  listen: setting({
    group: 'Server',
    kind: listenHost,
    default: '127.0.0.1',
    help: 'The address to listen on. An address that is not loopback needs DYNFLOW_SSL_CERT and DYNFLOW_SSL_KEY.',
    example: '::',
    programs: gateway,
  }),
  port: setting({
    group: 'Server',
    kind: integer(0, 65_535, 'a TCP port, 0 to 65535 (0: any free one)'),
    default: '8008',
    help: 'The TCP port to listen on; 0 takes any free one, which is then logged.',
    example: '8443',
    programs: gateway,
  }),
  sslCert: setting({
    group: 'Server',
    kind: path,
    default: null,
    help: 'PEM file with the certificate to serve HTTPS with, followed by its intermediates. Goes with DYNFLOW_SSL_KEY.',
    example: '/etc/dynflow_api/tls/server.crt',
    programs: gateway,
  }),
  sslKey: setting({
    group: 'Server',
    kind: path,
    default: null,
    help: 'PEM file with the private key of DYNFLOW_SSL_CERT, without a passphrase.',
    example: '/etc/dynflow_api/tls/server.key',
    programs: gateway,
  }),
  sslCa: setting({
    group: 'Server',
    kind: path,
    default: null,
    help: 'PEM file with the authorities whose client certificates are trusted.',
    example: '/etc/dynflow_api/tls/ca.crt',
    programs: gateway,
  }),
  trustedHosts: setting({
    group: 'Server',
    kind: listOf(host, 'host names, separated by commas'),
    default: null,
    defaultNote: 'every certificate of DYNFLOW_SSL_CA',
    help: 'Common names of the client certificates that may launch and change work over HTTPS. An empty list lets nobody in. Plain HTTP is served on loopback only, and trusted.',
    example: 'foreman.example.com,proxy.example.com',
    programs: gateway,
  }),
  databaseUrl: setting({
    group: 'Storage',
    kind: database,
    default: 'sqlite::memory:',
    help: 'Where plans are kept: sqlite::memory: (a restart loses all jobs), sqlite:/path/to/file, or postgres://….',
    example: 'sqlite:/var/lib/dynflow_api/dynflow.sqlite',
    secret: 'url',
    programs: gateway,
  }),
  secretKeysFile: setting({
    group: 'Storage',
    kind: path,
    default: null,
    defaultNote: 'beside an SQLite file; made anew at each start for sqlite::memory:; required with PostgreSQL',
    help: 'The key ring that seals passwords in the database. Made with mode 0600 if it is missing.',
    example: '/var/lib/dynflow_api/secret-keys.json',
    programs: gateway,
  }),
  retention: setting({
    group: 'Storage',
    kind: durationOrForever(100 * aYearMs),
    default: '24h',
    help: 'How long finished plans are kept. Plans that are paused or not finished stay.',
    example: '7d',
    programs: gateway,
  }),
  retentionPlans: setting({
    group: 'Storage',
    kind: integerOr('unlimited', 1, 1_000_000_000, 'a whole number from 1, or "unlimited"'),
    default: null,
    defaultNote: '10000 for sqlite::memory:, which holds them in memory; unlimited elsewhere',
    help: 'How many finished plans are kept at most; of more the oldest are deleted, even if DYNFLOW_RETENTION has not passed.',
    example: '100000',
    programs: gateway,
  }),
  archiveDir: setting({
    group: 'Storage',
    kind: path,
    default: null,
    defaultNote: 'deleted plans are gone',
    help: 'A directory to which plans are written before they are deleted: plans.csv, actions.csv and steps.csv in a folder a day, without passwords.',
    example: '/var/lib/dynflow_api/archive',
    programs: gateway,
  }),
  quarantineAfter: setting({
    group: 'Storage',
    kind: durationOrForever(100 * aYearMs),
    default: '12h',
    help: 'A database that nobody has used for so long is taken for an old one: its unfinished work is held until an operator releases it. A restored backup is found in any case, by the mark beside the SQLite file or on the NATS server.',
    example: '72h',
    programs: gateway,
  }),
  natsUrl: setting({
    group: 'Plugins and executors',
    kind: natsUrl,
    default: null,
    defaultNote: 'the executors run inside the gateway (fat shape)',
    help: 'The NATS server between gateway and executors. Set: thin shape, which needs a database that outlives the process.',
    example: 'nats://127.0.0.1:4222',
    secret: 'url',
    programs: both,
  }),
  natsNkeyFile: setting({
    group: 'Plugins and executors',
    kind: path,
    default: null,
    help: 'A file with the seed of the nkey (SU…) to log in to NATS with. Without it: user and password in DYNFLOW_NATS_URL, if any.',
    example: '/etc/dynflow_api/nats/gateway.nk',
    programs: both,
  }),
  natsSslCa: setting({
    group: 'Plugins and executors',
    kind: path,
    default: null,
    help: "PEM file with the authorities that the NATS server's certificate must come from. It insists on TLS.",
    example: '/etc/dynflow_api/nats/ca.crt',
    programs: both,
  }),
  natsSslCert: setting({
    group: 'Plugins and executors',
    kind: path,
    default: null,
    help: 'PEM file with the client certificate for NATS, where its server wants one. Goes with DYNFLOW_NATS_SSL_KEY.',
    example: '/etc/dynflow_api/nats/client.crt',
    programs: both,
  }),
  natsSslKey: setting({
    group: 'Plugins and executors',
    kind: path,
    default: null,
    help: 'PEM file with the private key of DYNFLOW_NATS_SSL_CERT.',
    example: '/etc/dynflow_api/nats/client.key',
    programs: both,
  }),
  plugins: setting({
    group: 'Plugins and executors',
    kind: listOf(packageName, 'package names, separated by commas'),
    default: null,
    isComputed: true,
    defaultNote: 'dynflow_foreman_tasks,dynflow_foreman_remote_execution; only dynflow_foreman_tasks with DYNFLOW_NATS_URL',
    help: 'The plugins to load into the gateway, by package name. An empty list loads none.',
    example: 'dynflow_foreman_tasks',
    programs: gateway,
  }),
  executorId: setting({
    group: 'Plugins and executors',
    kind: subjectToken,
    default: null,
    isComputed: true,
    defaultNote: "the host's name",
    help: 'The name of this executor. Unique among the executors of one plugin, and the same after a restart.',
    example: 'rex-1',
    programs: both,
  }),
  slots: setting({
    group: 'Plugins and executors',
    kind: integer(1, 100_000, 'a whole number from 1 to 100000'),
    default: '100',
    help: 'How many steps one executor runs at once.',
    example: '250',
    programs: both,
  }),
  site: setting({
    group: 'Plugins and executors',
    kind: subjectToken,
    default: 'default',
    help: 'The site whose work this process does.',
    example: 'berlin',
    programs: both,
  }),
  executorLostAfter: setting({
    group: 'Plugins and executors',
    kind: duration(86_400_000, 'a duration of at most 1d such as "5m" (a bare number counts seconds)'),
    default: '5m',
    help: 'An executor that is silent for so long is given up: what it held is lost, or taken over where that is safe. It ends itself what must not run twice before that.',
    example: '15m',
    programs: gateway,
  }),
  drainLimit: setting({
    group: 'Plugins and executors',
    kind: durationOrForever(86_400_000),
    default: null,
    defaultNote: '25s in the gateway; forever in an executor of its own',
    help: 'How long a stopping process lets running work end before it stops that work. Keep it below what the service manager waits before it kills.',
    example: '2m',
    programs: both,
  }),
  foremanUrl: setting({
    group: 'Foreman',
    kind: url(['https', 'http'], 'an https:// or http:// URL'),
    default: null,
    help: "Foreman's address, for callbacks. A path in it is kept.",
    example: 'https://foreman.example.com',
    secret: 'url',
    programs: gateway,
    isShared: true,
  }),
  foremanSslCert: setting({
    group: 'Foreman',
    kind: path,
    default: null,
    defaultNote: 'DYNFLOW_SSL_CERT',
    help: 'PEM file with the client certificate that Foreman knows as a smart proxy. Goes with DYNFLOW_FOREMAN_SSL_KEY.',
    example: '/etc/dynflow_api/tls/foreman-client.crt',
    programs: gateway,
    isShared: true,
  }),
  foremanSslKey: setting({
    group: 'Foreman',
    kind: path,
    default: null,
    defaultNote: 'DYNFLOW_SSL_KEY',
    help: 'PEM file with the private key of DYNFLOW_FOREMAN_SSL_CERT.',
    example: '/etc/dynflow_api/tls/foreman-client.key',
    programs: gateway,
    isShared: true,
  }),
  foremanSslCa: setting({
    group: 'Foreman',
    kind: path,
    default: null,
    defaultNote: 'DYNFLOW_SSL_CA; without it, the authorities that Node.js knows',
    help: "PEM file with the authority of Foreman's certificate.",
    example: '/etc/dynflow_api/tls/foreman-ca.crt',
    programs: gateway,
    isShared: true,
  }),
  maxBody: setting({
    group: 'Limits',
    kind: byteSize(1_024, 1_073_741_824, 'a size from 1KiB to 1GiB such as "64MiB" (a bare number counts bytes)'),
    default: '64MiB',
    help: 'The largest request body that is accepted; larger ones get 413.',
    example: '128MiB',
    programs: gateway,
  }),
  outputLimit: setting({
    group: 'Limits',
    kind: byteSize(1_024, 1_073_741_824, 'a size from 1KiB to 1GiB such as "10MiB" (a bare number counts bytes)'),
    default: '10MiB',
    help: 'How many bytes of output are kept of one step. What comes after is dropped, and a line says so.',
    example: '50MiB',
    programs: gateway,
  }),
  logLevel: setting({
    group: 'Logging',
    kind: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    help: 'The least severe messages to log.',
    example: 'debug',
    programs: both,
  }),
  logFormat: setting({
    group: 'Logging',
    kind: oneOf('auto', 'json', 'pretty'),
    default: 'auto',
    help: 'json: one object a line. pretty: for reading. auto: pretty on a terminal, else json.',
    example: 'json',
    programs: both,
  }),
} as const;

export type SettingName = keyof typeof settings;
export type SettingValues = { -readonly [Name in SettingName]: (typeof settings)[Name] extends Setting<infer Value> ? Value : never };

/** What was read so far: null too where a value could not be read. */
export type ReadValues = { [Name in SettingName]: SettingValues[Name] | null };

export const settingNames = Object.keys(settings) as SettingName[];

/** `sslCert` → `ssl_cert`: the setting's key in the file. */
export function keyOf(name: SettingName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `sslCert` → `DYNFLOW_SSL_CERT`. */
export function variableOf(name: SettingName): string {
  return `DYNFLOW_${keyOf(name).toUpperCase()}`;
}

/** Sections of plugins that come with this service: named in a file or environment, they are no mistake where the plugin is not loaded. */
export const knownSections = ['foreman', 'remote_execution', 'ansible', 'salt'] as const;

/** What other programs call it, for the suggestion beside "unknown". Keys of files; variables are looked up without their prefix. */
export const namesElsewhere: Readonly<Record<string, SettingName>> = {
  database: 'databaseUrl',
  db_conn_string: 'databaseUrl',
  execution_plan_cleaner_age: 'retention',
  ssl_certificate: 'sslCert',
  ssl_private_key: 'sslKey',
  ssl_ca_file: 'sslCa',
  bind_host: 'listen',
  host: 'listen',
  https_port: 'port',
  http_port: 'port',
};
