import type { ScriptJob } from './job.js';
import type { SessionEnd, SessionPlan } from './script-session.js';
import { explainSwitchFailure } from './user-switch.js';

/** How much of the host's own words goes into a line. */
const MAX_QUOTE = 400;

/** One clear line for a script that was not started: what is wrong on the host, and what to do where that is known. */
export function explainNotStarted(end: SessionEnd, plan: SessionPlan, job: ScriptJob): string {
  const { hostname, ssh_user: loginUser } = job;
  const { userSwitch: to, dir, workingDir } = plan;
  const text = end.text.replaceAll(plan.nonce, '').replace(/\s+/g, ' ').trim().slice(0, MAX_QUOTE);
  const words = text === '' ? '' : `: ${text}`;
  const noExec =
    `scripts cannot be executed in ${workingDir} on ${hostname}: it is mounted noexec, or a security module forbids it; ` +
    `set another remote working directory`;
  const reasons: Readonly<Record<string, string>> = {
    dir: `cannot make the directory ${dir} on ${hostname}${words}`,
    write: `cannot write the script to ${dir} on ${hostname} (file system full, or a quota used up?)${words}`,
    short: `the script did not arrive whole in ${dir} on ${hostname}${words}`,
    noexec: noExec,
    'no-program': `the effective user ${to?.user ?? ''} needs ${to?.program ?? ''}, which is not installed on ${hostname}`,
    'user-dir': `the effective user ${to?.user ?? ''} can write neither in ${workingDir} nor in /tmp on ${hostname}${words}`,
  };
  const known = end.failReason === undefined ? undefined : reasons[end.failReason];
  if (known !== undefined) return known;
  if (end.exit.kind === 'lost') return `lost the connection to ${hostname} before the script was started (${end.exit.reason})`;
  if (!end.hasBegun) {
    return `${hostname} did not start /bin/sh for ${loginUser} (forced command, or a login shell that runs no commands?)${words}`;
  }
  if (to !== undefined && end.isSwitching) {
    return explainSwitchFailure(to, { text, prompts: end.prompts, path: `${dir}/script` }, loginUser);
  }
  if (end.exit.kind === 'status' && end.exit.code === 126) return noExec;
  return `the script could not be started on ${hostname}${words}`;
}
