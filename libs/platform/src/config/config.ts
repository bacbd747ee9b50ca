import type { Database } from './kinds.js';
import type { SettingValues } from './settings.js';

/** PEM files; null where none is configured. */
export interface TlsFiles {
  cert: string | null;
  key: string | null;
  ca: string | null;
}

export interface LogConfig {
  level: SettingValues['logLevel'];
  format: SettingValues['logFormat'];
}

/** How an executor works, in the gateway or in a process of its own. */
export interface ExecutorSettings {
  id: string;
  slots: number;
  site: string;
  /** Null: without limit. */
  drainLimitMs: number | null;
}

/** How to reach NATS and log in there. */
export interface NatsConfig {
  url: string;
  /** A file with an nkey's seed; null: user and password are in the url, or nobody logs in. */
  nkeyFile: string | null;
  tls: TlsFiles;
}

export interface GatewayConfig {
  program: 'gateway';
  /** `fat`: executors inside, bus in process. `thin`: NATS between gateways and executors. */
  shape: 'fat' | 'thin';
  http: {
    host: string;
    port: number;
    /** Null: plain HTTP. */
    tls: { cert: string; key: string; ca: string | null } | null;
    /** Lower case. Null: no restriction by name; empty: nobody. */
    trustedHosts: readonly string[] | null;
    maxBodyBytes: number;
  };
  database: Database;
  /** Null where the keys live as long as the process. */
  secretKeysFile: string | null;
  /** Null: for ever. */
  retentionMs: number | null;
  /** How many finished plans are kept; null: any number. */
  retentionPlans: number | null;
  /** Where deleted plans are written to; null: nowhere. */
  archiveDir: string | null;
  outputLimitBytes: number;
  /** A database without a sign of life for so long starts with its unfinished work held. Null: never for that. */
  quarantineAfterMs: number | null;
  /** An executor that is silent for so long is given up, with what it holds. */
  executorLostAfterMs: number;
  /** Null in the fat shape. */
  nats: NatsConfig | null;
  executor: ExecutorSettings;
  /** Url without a slash at its end. */
  foreman: { url: string | null; tls: TlsFiles };
  log: LogConfig;
}

export interface ExecutorConfig {
  program: 'executor';
  nats: NatsConfig;
  executor: ExecutorSettings;
  log: LogConfig;
}

/** Call it with values that passed every check. */
export function gatewayConfig(values: SettingValues): GatewayConfig {
  const { sslCert, sslKey, databaseUrl } = values;
  return {
    program: 'gateway',
    shape: values.natsUrl === null ? 'fat' : 'thin',
    http: {
      host: values.listen,
      port: values.port,
      tls: sslCert === null || sslKey === null ? null : { cert: sslCert, key: sslKey, ca: values.sslCa },
      trustedHosts: values.trustedHosts,
      maxBodyBytes: values.maxBody,
    },
    database: databaseUrl,
    secretKeysFile: values.secretKeysFile ?? (databaseUrl.kind === 'sqlite-file' ? `${databaseUrl.path}.keys` : null),
    retentionMs: values.retention === 'forever' ? null : values.retention,
    retentionPlans: retentionPlans(values),
    archiveDir: values.archiveDir,
    outputLimitBytes: values.outputLimit,
    quarantineAfterMs: values.quarantineAfter === 'forever' ? null : values.quarantineAfter,
    executorLostAfterMs: values.executorLostAfter,
    nats: values.natsUrl === null ? null : natsConfig(values, values.natsUrl),
    executor: executorSettings(values, GATEWAY_DRAIN_MS),
    foreman: { url: values.foremanUrl, tls: { cert: values.foremanSslCert, key: values.foremanSslKey, ca: values.foremanSslCa } },
    log: { level: values.logLevel, format: values.logFormat },
  };
}

/** In memory each finished plan costs memory, so there is a limit unless somebody takes it away. */
function retentionPlans({ retentionPlans: asked, databaseUrl }: SettingValues): number | null {
  const inMemory = databaseUrl.kind === 'sqlite-memory' ? PLANS_IN_MEMORY : null;
  return asked === 'unlimited' ? null : (asked ?? inMemory);
}

const PLANS_IN_MEMORY = 10_000;

/** Call it with values that passed every check. */
export function executorConfig(values: SettingValues, natsUrl: string): ExecutorConfig {
  return {
    program: 'executor',
    nats: natsConfig(values, natsUrl),
    executor: executorSettings(values, null),
    log: { level: values.logLevel, format: values.logFormat },
  };
}

function natsConfig(values: SettingValues, url: string): NatsConfig {
  return {
    url,
    nkeyFile: values.natsNkeyFile,
    tls: { cert: values.natsSslCert, key: values.natsSslKey, ca: values.natsSslCa },
  };
}

/** A service manager kills a gateway that takes its time; an executor is drained beside its successor, for as long as its jobs last. */
const GATEWAY_DRAIN_MS = 25_000;

function executorSettings(values: SettingValues, drainDefaultMs: number | null): ExecutorSettings {
  const { executorId: id, slots, site, drainLimit } = values;
  return { id, slots, site, drainLimitMs: drainLimit === 'forever' ? null : (drainLimit ?? drainDefaultMs) };
}
