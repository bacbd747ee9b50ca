import { describe, expect, it } from 'vitest';
import { parseScriptJob } from './job.js';
import { explainSwitchFailure, userSwitchOf, wantsTerminal } from './user-switch.js';
import type { UserSwitch } from './user-switch.js';

const to = (input: Record<string, unknown>): UserSwitch => {
  const found = userSwitchOf(parseScriptJob({ hostname: 'h', script: '', ssh_user: 'me', effective_user: 'you', ...input }), 'rex-1');
  if (found === undefined) throw new Error('no switch');
  return found;
};
const withPassword = { secrets: { effective_user_password: 's3cret' } };

describe('the switch of user', () => {
  it('quotes user and path, and never holds the password', () => {
    expect(to({}).commandLine('/a b/script')).toBe("sudo -n -u 'you' -- '/a b/script'");
    expect(to(withPassword).commandLine('/d/script')).toBe("sudo -S -p 'rex-1?' -u 'you' -- '/d/script'");
    expect(to({ effective_user: "o'$(x)" }).commandLine('/d/script')).toBe(`sudo -n -u 'o'\\''$(x)' -- '/d/script'`);
    expect(to({ ...withPassword, effective_user_method: 'dzdo' }).commandLine('/d/script')).toBe(
      "dzdo -S -p 'rex-1?' -u 'you' -- '/d/script'",
    );
    expect(to({ effective_user_method: 'su' }).commandLine("/d'/script")).toBe(`su - 'you' -c 'exec '\\''/d'\\''\\'\\'''\\''/script'\\'''`);
  });

  it.each([null, '', 'me', undefined])('is none for the effective user %j', (user) => {
    const job = parseScriptJob({ hostname: 'h', script: '', ssh_user: 'me', effective_user: user });
    expect(userSwitchOf(job, 'rex-1')).toBeUndefined();
  });

  it('counts only its own prompt for sudo, and an open line that ends in a colon for su', () => {
    const sudo = to(withPassword);
    expect(sudo.countPrompts('Password: [sudo] password for me: ')).toBe(0);
    expect(sudo.countPrompts('lecture\nrex-1?')).toBe(1);
    expect(sudo.countPrompts('rex-1?Sorry, try again.\nrex-1?')).toBe(2);
    const su = to({ effective_user_method: 'su' });
    expect(su.countPrompts('Password: ')).toBe(1);
    expect(su.countPrompts('Passwort: ')).toBe(1);
    expect(su.countPrompts('note: mind the gap\n')).toBe(0);
  });

  it('knows when a terminal is wanted', () => {
    expect(wantsTerminal('sudo: sorry, you must have a tty to run sudo')).toBe(true);
    expect(wantsTerminal('sudo: a password is required')).toBe(false);
  });

  it.each([
    ['me is not in the sudoers file.', 0, 'the rules on the host do not allow me to run /p as you'],
    ['Sorry, user me is not allowed to execute', 1, 'the rules on the host do not allow me to run /p as you'],
    ['sudo: unknown user you', 0, 'there is no such user on the host'],
    ['sudo: a password is required', 0, 'it asks for a password and none was given (effective_user_password)'],
    ['Sorry, try again.', 2, 'the password (effective_user_password) was not accepted'],
    ['sudo: sorry, you must have a tty to run sudo', 0, 'it wants a terminal (requiretty), and refuses also with one'],
    ['sudo: unable to execute /p: Permission denied', 0, 'you cannot reach or execute /p; every directory above it must be open to you'],
    ['etwas anderes', 0, 'etwas anderes'],
    ['', 0, 'no reason was given'],
  ])('explains %j', (text, prompts, line) => {
    const failed = 'cannot switch from me to the effective user you with sudo: ';
    expect(explainSwitchFailure(to(withPassword), { text, prompts, path: '/p' }, 'me')).toBe(failed + line);
  });
});
