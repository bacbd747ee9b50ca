import type { AnyAuthMethod, AuthHandlerMiddleware, AuthenticationType, ParsedKey } from 'ssh2';

type Offer = (left: readonly AuthenticationType[] | null) => AnyAuthMethod | undefined;

/** A server that calls each step a partial success for ever is left after this many. */
const MAX_STEPS = 4;

/** What a login can be made with. */
export interface Credentials {
  readonly user: string;
  readonly password?: string | undefined;
  readonly key?: ParsedKey | undefined;
}

/**
 * Chooses the login methods, one after another: the password if there is one, then the key, then keyboard-interactive, where a single
 * hidden prompt is answered with the password. A method that the server does not know is not tried again, and a password that it
 * refused is not sent a second way, so that one wrong password counts once towards a lock-out.
 */
export class Login {
  /** What was tried, for the error line. */
  readonly tried: string[] = [];
  private offers: Offer[] = [];
  private steps = 0;
  private wasPasswordSent = false;

  constructor(private readonly credentials: Credentials) {
    this.startStep();
  }

  /** The next method, or `false` when there is none left. `left` is what the server said it would take, `null` before it did. */
  next(left: readonly AuthenticationType[] | null, hasPartialSuccess: boolean): AnyAuthMethod | false {
    // A server with two factors names what remains: every method is open again for the next step.
    if (hasPartialSuccess && this.steps < MAX_STEPS) this.startStep();
    for (;;) {
      const offer = this.offers.shift();
      if (offer === undefined) return false;
      const method = offer(left);
      if (method === undefined) continue;
      this.tried.push(method.type);
      return method;
    }
  }

  private startStep(): void {
    this.steps += 1;
    this.wasPasswordSent = false;
    this.offers = [this.password, this.publicKey, this.keyboardInteractive];
  }

  private readonly password: Offer = (left) => {
    const { user, password } = this.credentials;
    if (password === undefined || left?.includes('password') === false) return undefined;
    this.wasPasswordSent = true;
    return { type: 'password', username: user, password };
  };

  private readonly publicKey: Offer = (left) => {
    const { user, key } = this.credentials;
    if (key === undefined || left?.includes('publickey') === false) return undefined;
    return { type: 'publickey', username: user, key };
  };

  private readonly keyboardInteractive: Offer = (left) => {
    const { user, password } = this.credentials;
    if (password === undefined || left === null || !left.includes('keyboard-interactive')) return undefined;
    if (this.wasPasswordSent && left.includes('password')) return undefined;
    let isAnswered = false;
    return {
      type: 'keyboard-interactive',
      username: user,
      prompt: (_name, _instructions, _language, prompts, answer) => {
        const isThePassword = prompts.length === 1 && prompts[0]?.echo === false && !isAnswered;
        isAnswered ||= isThePassword;
        answer(isThePassword ? [password] : prompts.map(() => ''));
      },
    };
  };
}

/** Binds a login to ssh2. The first credential is sent after `before` has settled (the host key is remembered by then). */
export function authHandlerOf(login: Login, before: () => Promise<void>, fail: (error: unknown) => void): AuthHandlerMiddleware {
  let ready: Promise<void> | undefined;
  return (left: readonly AuthenticationType[] | null, hasPartialSuccess, next) => {
    ready ??= before();
    // ssh2 takes `false` for "none left", which its types do not say.
    const proceed = (): void => next(login.next(left, hasPartialSuccess) as AnyAuthMethod);
    ready.then(proceed, fail);
  };
}
