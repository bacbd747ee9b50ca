/**
 * An authorization block with the least rights that the gateway and executors of the given plugins need, for tests: user and password
 * are both the plugin's name, or `gateway`.
 */
export function natsUsers(plugins: readonly string[]): string {
  return ['authorization {', '  users: [', gateway, ...plugins.map(executor), '  ]', '}'].join('\n');
}

const list = (subjects: readonly string[]): string => subjects.map((subject) => `"${subject}"`).join(', ');

const gateway = `    { user: gateway, password: gateway, permissions: {
      publish: { allow: [ ${list([
        'dynflow.v1.step.*.*',
        'dynflow.v1.inbox.*.gateway',
        'dynflow.v1.executor.*.*',
        'dynflow.v1.plan.*',
        'dynflow.v1.http.*.*',
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
      ])} ] }
      subscribe: { allow: [ ${list([
        '_I.gateway.>',
        'dynflow.v1.claim.*.*',
        'dynflow.v1.output.*.*',
        'dynflow.v1.heartbeat.*.*',
        'dynflow.v1.store.*',
        'dynflow.v1.session.*.*',
      ])} ] } } }`;

const executor = (plugin: string): string => `    { user: ${plugin}, password: ${plugin}, permissions: {
      publish: { allow: [ ${list([
        `dynflow.v1.claim.*.${plugin}`,
        `dynflow.v1.inbox.*.${plugin}`,
        `dynflow.v1.output.*.${plugin}`,
        `dynflow.v1.heartbeat.${plugin}.*`,
        `dynflow.v1.store.${plugin}`,
        `dynflow.v1.session.${plugin}.*`,
        `$JS.API.CONSUMER.INFO.STEPS_${plugin}.*`,
        `$JS.API.CONSUMER.MSG.NEXT.STEPS_${plugin}.*`,
        `$JS.ACK.STEPS_${plugin}.>`,
      ])} ] }
      subscribe: { allow: [ ${list([
        `_I.${plugin}.>`,
        `dynflow.v1.executor.${plugin}.*`,
        `dynflow.v1.plan.${plugin}`,
        `dynflow.v1.http.${plugin}.*`,
      ])} ] }
      allow_responses: { max: 64, expires: "60s" } } }`;
