import { pluginOfSubject, SUBJECT_PREFIX } from '@dynflow/contracts';

/** The user name of the gateways' connections. No plugin may have it. */
export const GATEWAY_USER = 'gateway';

/** Where a user's answers and pulled messages arrive; its credentials allow to listen below it and nowhere else. */
export function inboxPrefixOf(user: string): string {
  return `_I.${user}`;
}

/** What executors ask the gateway, and what the gateway asks executors, by the first token after the prefix. */
const askers: Readonly<Record<string, 'plugin' | 'gateway'>> = {
  claim: 'plugin',
  output: 'plugin',
  store: 'plugin',
  heartbeat: 'plugin',
  session: 'plugin',
  plan: 'gateway',
  http: 'gateway',
  executor: 'gateway',
  gateway: 'gateway',
};

/**
 * True when an answer to a message on `subject` may go to `reply`.
 *
 * The server lets a client write any reply subject, and the answer is sent with the answerer's rights: without this check an
 * executor could make the gateway write into another plugin's inbox or call the server's API. So an answer goes only to the inbox of
 * whoever the subject belongs to, and to no one on a subject that is not of the protocol.
 */
export function mayAnswer(subject: string, reply: string): boolean {
  if (!subject.startsWith(`${SUBJECT_PREFIX}.`) || /[*>\s]/.test(reply)) {
    return false;
  }
  const asker = askers[subject.split('.')[SUBJECT_TOKENS] ?? ''];
  if (asker === undefined) {
    return false;
  }
  const user = asker === 'gateway' ? GATEWAY_USER : pluginOfSubject(subject);
  const prefix = `${inboxPrefixOf(user)}.`;
  return reply.startsWith(prefix) && reply.length > prefix.length;
}

const SUBJECT_TOKENS = SUBJECT_PREFIX.split('.').length;
