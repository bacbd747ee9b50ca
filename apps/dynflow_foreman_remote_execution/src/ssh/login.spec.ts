import { makeSshKeyPair } from '@dynflow/testing';
import ssh2 from 'ssh2';
import type { AnyAuthMethod, ParsedKey } from 'ssh2';
import { describe, expect, it } from 'vitest';
import { Login } from './login.js';

const key = ssh2.utils.parseKey(makeSshKeyPair().privateKey) as ParsedKey;
const typeOf = (method: AnyAuthMethod | false): string | false => (method === false ? false : method.type);

describe('the order of login methods', () => {
  it('is password, key, keyboard-interactive, each once', () => {
    const login = new Login({ user: 'u', password: 'p', key });
    expect(typeOf(login.next(null, false))).toBe('password');
    expect(typeOf(login.next(['publickey', 'keyboard-interactive'], false))).toBe('publickey');
    expect(typeOf(login.next(['keyboard-interactive'], false))).toBe('keyboard-interactive');
    expect(typeOf(login.next(['keyboard-interactive'], false))).toBe(false);
    expect(login.tried).toEqual(['password', 'publickey', 'keyboard-interactive']);
  });

  it('sends a password that was refused as such no second time', () => {
    const login = new Login({ user: 'u', password: 'p' });
    login.next(null, false);
    expect(login.next(['password', 'keyboard-interactive'], false)).toBe(false);
  });

  it('starts again after a step that the server accepted, and ends with a server that always accepts', () => {
    const login = new Login({ user: 'u', password: 'p', key });
    expect(typeOf(login.next(null, false))).toBe('password');
    expect(typeOf(login.next(['publickey'], false))).toBe('publickey');
    expect(typeOf(login.next(['password'], true))).toBe('password');
    let steps = 0;
    while (login.next(['password', 'publickey'], true) !== false) steps += 1;
    expect(steps).toBeLessThan(10);
  });

  it('has nothing to offer without credentials', () => {
    expect(new Login({ user: 'u' }).next(null, false)).toBe(false);
  });

  it('answers one hidden prompt with the password, once, and all others with nothing', () => {
    const login = new Login({ user: 'u', password: 'p' });
    login.next(null, false);
    const method = login.next(['keyboard-interactive'], false);
    if (method === false || method.type !== 'keyboard-interactive') throw new Error('another method was chosen');
    const answersTo = (...prompts: { prompt: string; echo: boolean }[]): string[] => {
      let answers: string[] = [];
      method.prompt('', '', '', prompts, (given) => (answers = given));
      return answers;
    };
    expect(answersTo({ prompt: 'User:', echo: true })).toEqual(['']);
    expect(answersTo({ prompt: 'Password:', echo: false }, { prompt: 'Code:', echo: false })).toEqual(['', '']);
    expect(answersTo({ prompt: 'Password:', echo: false })).toEqual(['p']);
    expect(answersTo({ prompt: 'Password again:', echo: false })).toEqual(['']);
    expect(answersTo()).toEqual([]);
  });
});
