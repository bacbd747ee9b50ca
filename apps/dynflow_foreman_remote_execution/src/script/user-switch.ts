import { shellQuote } from '../ssh/shell-quote.js';
import { ScriptSetupError } from './errors.js';
import type { ScriptJob } from './job.js';

/** How the effective user is reached, for one run. */
export interface UserSwitch {
  readonly program: 'sudo' | 'dzdo' | 'su';
  readonly user: string;
  readonly password?: string | undefined;
  /** The shell command that runs the file at `path` as the user. */
  commandLine(path: string): string;
  /** How many times the program has asked, by the text that it wrote so far. */
  countPrompts(text: string): number;
}

const programs = ['sudo', 'dzdo', 'su'] as const;

/**
 * The switch of user that a job wants, or `undefined` when it runs as the login user.
 *
 * @throws ScriptSetupError for a method that is not supported, or a name that cannot be one.
 */
export function userSwitchOf(job: ScriptJob, nonce: string): UserSwitch | undefined {
  const user = job.effective_user;
  if (user === undefined || user === job.ssh_user) return undefined;
  const program = programs.find((name) => name === job.effective_user_method);
  if (program === undefined) {
    throw new ScriptSetupError(
      `effective user method "${job.effective_user_method}" is not supported; supported are ${programs.join(', ')}`,
    );
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (user.startsWith('-') || /[\u0000-\u001f\u007f:]/.test(user))
    throw new ScriptSetupError('the effective user is not a valid user name');
  const password = job.secrets.effective_user_password;
  return program === 'su' ? su(user, password) : sudo(program, user, password, nonce);
}

function sudo(program: 'sudo' | 'dzdo', user: string, password: string | undefined, nonce: string): UserSwitch {
  // The prompt is a word that nothing else prints, so that it cannot be mistaken and the password goes to the program only.
  const prompt = `${nonce}?`;
  const asking = password === undefined ? '-n' : `-S -p ${shellQuote(prompt)}`;
  return {
    program,
    user,
    password,
    commandLine: (path) => `${program} ${asking} -u ${shellQuote(user)} -- ${shellQuote(path)}`,
    countPrompts: (text) => text.split(prompt).length - 1,
  };
}

function su(user: string, password: string | undefined): UserSwitch {
  return {
    program: 'su',
    user,
    password,
    commandLine: (path) => `su - ${shellQuote(user)} -c ${shellQuote(`exec ${shellQuote(path)}`)}`,
    // su takes no prompt of ours: an unfinished line that ends in a colon is one.
    countPrompts: (text) => (/[^\n]:[ \t]*$/.test(text) ? 1 : 0),
  };
}

/** What is known when a switch did not lead to the script. */
export interface SwitchFailure {
  readonly text: string;
  readonly prompts: number;
  readonly path: string;
}

/** True when the program refuses for want of a terminal, so that a second try with one makes sense. */
export function wantsTerminal(text: string): boolean {
  return /must have a tty|must be run from a terminal|no tty present/i.test(text);
}

/** One clear line for a switch that failed. `text` is quoted where nothing better is known. */
export function explainSwitchFailure(to: UserSwitch, failure: SwitchFailure, loginUser: string): string {
  const { program, user } = to;
  const { text, prompts, path } = failure;
  const failed = `cannot switch from ${loginUser} to the effective user ${user} with ${program}`;
  const asks = `${failed}: it asks for a password and none was given (effective_user_password)`;
  if (prompts > 0 && to.password === undefined) return asks;
  if (/incorrect password|authentication failure|sorry, try again/i.test(text) || prompts > 1) {
    return `${failed}: the password (effective_user_password) was not accepted`;
  }
  if (/password is required|no password was provided/i.test(text)) return asks;
  if (/not in the sudoers|not allowed to (execute|run)|may not run/i.test(text)) {
    return `${failed}: the rules on the host do not allow ${loginUser} to run ${path} as ${user}`;
  }
  if (/unknown user|does not exist|invalid user|user .* not found/i.test(text)) return `${failed}: there is no such user on the host`;
  if (wantsTerminal(text)) return `${failed}: it wants a terminal (requiretty), and refuses also with one`;
  if (/unable to execute|permission denied|cannot execute/i.test(text)) {
    return `${failed}: ${user} cannot reach or execute ${path}; every directory above it must be open to ${user}`;
  }
  return `${failed}: ${text === '' ? 'no reason was given' : text}`;
}
