/** Who may log in to the NATS server, and as whom. */
export interface NatsServerUser {
  /** `gateway`, or the name of a plugin whose executors share this login. */
  readonly name: string;
  /** The public half of an nkey (`U…`), or a password (tests; a password travels to the server and stands in its file). */
  readonly login: { readonly nkey: string } | { readonly password: string };
}

export interface NatsServerConfig {
  /** `127.0.0.1:4222`; an address that is not loopback should have `tls`. */
  readonly listen: string;
  /** Where JetStream keeps its streams. */
  readonly storeDir: string;
  readonly users: readonly NatsServerUser[];
  /** PEM files of the server; with `ca` clients need certificates, too. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

/** What the gateway may do: make and read streams, give out steps, answer who asked it. It may not delete or purge a stream. */
const GATEWAY = {
  publish: [
    'dynflow.v1.step.*.*',
    'dynflow.v1.inbox.*.gateway',
    'dynflow.v1.executor.*.*',
    'dynflow.v1.plan.*',
    'dynflow.v1.http.*.*',
    'dynflow.v1.gateway.*',
    '_I.>',
    '$JS.API.INFO',
    '$JS.API.STREAM.CREATE.*',
    '$JS.API.STREAM.UPDATE.*',
    '$JS.API.STREAM.INFO.*',
    '$JS.API.STREAM.MSG.GET.*',
    '$JS.API.CONSUMER.CREATE.>',
    '$JS.API.CONSUMER.INFO.*.*',
    '$JS.API.CONSUMER.LIST.*',
    '$JS.API.CONSUMER.DELETE.*.*',
    '$JS.API.CONSUMER.MSG.NEXT.INBOX.*',
    '$JS.ACK.INBOX.>',
  ],
  subscribe: [
    '_I.gateway.>',
    'dynflow.v1.claim.*.*',
    'dynflow.v1.output.*.*',
    'dynflow.v1.heartbeat.*.*',
    'dynflow.v1.store.*',
    'dynflow.v1.session.*.*',
    'dynflow.v1.gateway.*',
  ],
} as const;

/** What the executors of a plugin may do: everything for their own plugin, nothing for another. */
const executor = (plugin: string): { publish: readonly string[]; subscribe: readonly string[] } => ({
  publish: [
    `dynflow.v1.claim.*.${plugin}`,
    `dynflow.v1.inbox.*.${plugin}`,
    `dynflow.v1.output.*.${plugin}`,
    `dynflow.v1.heartbeat.${plugin}.*`,
    `dynflow.v1.store.${plugin}`,
    `dynflow.v1.session.${plugin}.*`,
    `$JS.API.CONSUMER.INFO.STEPS_${plugin}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.STEPS_${plugin}.*`,
    `$JS.ACK.STEPS_${plugin}.>`,
  ],
  subscribe: [`_I.${plugin}.>`, `dynflow.v1.executor.${plugin}.*`, `dynflow.v1.plan.${plugin}`, `dynflow.v1.http.${plugin}.*`],
});

/**
 * The configuration file of a nats-server for one installation: JetStream on, and for the gateway and each plugin a login with the least
 * rights that its subjects need, which the server enforces. An executor can then claim, report and announce for its own plugin only.
 */
export function natsServerConfig(config: NatsServerConfig): string {
  const { tls } = config;
  return [
    `listen: ${JSON.stringify(config.listen)}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(config.storeDir)}`,
    '}',
    ...(tls === undefined
      ? []
      : [
          'tls {',
          `  cert_file: ${JSON.stringify(tls.cert)}`,
          `  key_file: ${JSON.stringify(tls.key)}`,
          ...(tls.ca === undefined ? [] : [`  ca_file: ${JSON.stringify(tls.ca)}`, '  verify: true']),
          '}',
        ]),
    natsAuthorization(config.users),
    '',
  ].join('\n');
}

/** Only the block with the logins and their rights. */
export function natsAuthorization(users: readonly NatsServerUser[]): string {
  return ['authorization {', '  users: [', ...users.map(userBlock), '  ]', '}'].join('\n');
}

function userBlock({ name, login }: NatsServerUser): string {
  const isGateway = name === 'gateway';
  const { publish, subscribe } = isGateway ? GATEWAY : executor(name);
  const who = 'nkey' in login ? `nkey: ${login.nkey}` : `user: ${JSON.stringify(name)}, password: ${JSON.stringify(login.password)}`;
  // An executor answers requests (plan, http) where the asker said, and nowhere else.
  const answers = isGateway ? '' : '\n      allow_responses: { max: 64, expires: "60s" }';
  return `    # ${name}
    { ${who}, permissions: {
      publish: { allow: [ ${listOf(publish)} ] }
      subscribe: { allow: [ ${listOf(subscribe)} ] }${answers} } }`;
}

function listOf(subjects: readonly string[]): string {
  return subjects.map((subject) => `"${subject}"`).join(', ');
}
