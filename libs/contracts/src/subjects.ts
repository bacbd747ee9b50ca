/**
 * The subjects of the protocol (`docs/protocol.md`), all under one prefix that carries the version of the layout. The plugin's name is
 * in every one: an executor's credentials are cut to it, and the owner compares it with the step's.
 */
export const SUBJECT_PREFIX = 'dynflow.v1';

const at = (...tokens: (string | number)[]): string => [SUBJECT_PREFIX, ...tokens].join('.');

export const subjects = {
  /** Work queue: a step of the plugin is ready. */
  step: (plugin: string, queue: string) => at('step', plugin, queue),
  /** Work queue: outcomes for the owner of the shard. */
  inbox: (shard: number | '*', plugin: string) => at('inbox', shard, plugin),
  claim: (shard: number | '*', plugin: string) => at('claim', shard, plugin),
  output: (shard: number | '*', plugin: string) => at('output', shard, plugin),
  plan: (plugin: string) => at('plan', plugin),
  http: (plugin: string, site: string) => at('http', plugin, site),
  store: (plugin: string) => at('store', plugin),
  /** From one gateway to the one that has the shard. */
  gateway: (shard: number | '*') => at('gateway', shard),
  executor: (plugin: string, id: string) => at('executor', plugin, id),
  heartbeat: (plugin: string, id: string) => at('heartbeat', plugin, id),
} as const;

/**
 * The plugin that a subject belongs to: the gateway trusts this, never the message.
 *
 * @throws Error for a subject that is not of this protocol.
 */
export function pluginOfSubject(subject: string): string {
  const tokens = subject.slice(SUBJECT_PREFIX.length + 1).split('.');
  const plugin = tokens[0] === 'inbox' || tokens[0] === 'claim' || tokens[0] === 'output' ? tokens[2] : tokens[1];
  if (!subject.startsWith(`${SUBJECT_PREFIX}.`) || plugin === undefined) {
    throw new Error(`"${subject}" is not a subject of ${SUBJECT_PREFIX}`);
  }
  return plugin;
}
