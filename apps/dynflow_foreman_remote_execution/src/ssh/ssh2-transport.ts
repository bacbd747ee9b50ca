import type { Socket } from 'node:net';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { messageOf } from '@dynflow/kernel';
import ssh2 from 'ssh2';
import type { Client, ParsedKey } from 'ssh2';
import { algorithmsFor } from './algorithms.js';
import { SshError } from './errors.js';
import { HostKeyCheck } from './host-key-check.js';
import { hostKeyFromWire } from './host-keys.js';
import type { HostKeyPolicy, HostKeyStore } from './host-keys.js';
import { Limiter } from './limiter.js';
import { Login, authHandlerOf } from './login.js';
import type { PrivateKeyFile } from './private-key.js';
import { Ssh2Connection } from './ssh2-connection.js';
import { bareHost, hostLabel, openSocket } from './tcp.js';
import type { SshConnection, SshTarget, SshTransport } from './transport.js';

export interface Ssh2TransportOptions {
  readonly hostKeys: HostKeyStore;
  /** Default `accept-new`. */
  readonly hostKeyPolicy?: HostKeyPolicy;
  /** Without one, only passwords can be used. */
  readonly privateKey?: PrivateKeyFile;
  /** For the TCP connection. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** For key exchange and login together, counted from the TCP connection. Default 30 s. */
  readonly loginTimeoutMs?: number;
  /** How many handshakes this process does at a time; each is some 6 ms of CPU, and a queue makes none of them late. Default 32. */
  readonly maxHandshakes?: number;
  /** How many connections are made to one host at a time. Default 8: OpenSSH turns some away from the tenth on (MaxStartups). */
  readonly maxHandshakesPerHost?: number;
  /** A silent host is asked for a sign of life this often, and given up after three without an answer. Default 15 s. */
  readonly keepaliveMs?: number;
}

const KEEPALIVES = 3;

/** A host that turns connections away because it has too many is tried again so often, after about 0.1, 0.2, 0.4 … seconds. */
const TURNED_AWAY_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;

/** Connects with the ssh2 library: one TCP connection per call, closed by the caller. */
export class Ssh2Transport implements SshTransport {
  private readonly handshakes: Limiter;
  private readonly hosts = new Map<string, Limiter>();

  constructor(private readonly options: Ssh2TransportOptions) {
    this.handshakes = new Limiter(options.maxHandshakes ?? 32);
  }

  async connect(target: SshTarget, signal?: AbortSignal): Promise<SshConnection> {
    const label = hostLabel(target.host, target.port);
    const host = this.hosts.get(label) ?? new Limiter(this.options.maxHandshakesPerHost ?? 8);
    this.hosts.set(label, host);
    try {
      return await host.run(() => this.connectWithPatience(target, signal), signal);
    } catch (error) {
      if (signal?.aborted === true) throw new SshError('cancelled', `cancelled while connecting to ${label}`, { cause: error });
      throw error;
    } finally {
      if (host.isIdle) this.hosts.delete(label);
    }
  }

  private async connectWithPatience(target: SshTarget, signal: AbortSignal | undefined): Promise<SshConnection> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await new Attempt(target, this.options, this.handshakes, signal).run();
      } catch (error) {
        const wasTurnedAway = error instanceof SshError && error.context['isTurnedAway'] === true;
        if (!wasTurnedAway || attempt >= TURNED_AWAY_ATTEMPTS) throw error;
        // Spread, so that those turned away together do not come back together.
        await setTimeoutPromise(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()), undefined, { ...(signal && { signal }) });
      }
    }
  }
}

class Attempt {
  private readonly label: string;
  private readonly check: HostKeyCheck;

  constructor(
    private readonly target: SshTarget,
    private readonly options: Ssh2TransportOptions,
    private readonly handshakes: Limiter,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.label = hostLabel(target.host, target.port);
    const host = bareHost(target.host).toLowerCase();
    this.check = new HostKeyCheck(options.hostKeys, options.hostKeyPolicy ?? 'accept-new', host, target.port, this.label);
  }

  async run(): Promise<SshConnection> {
    const { key, problem } = await this.loadKey();
    await this.check.prepare(this.target.isFirstContact === true);
    try {
      // The limit holds for handshakes only: hosts that do not answer at all must not keep others waiting.
      const socket = await this.openSocket();
      return await this.handshakes
        .run(() => this.login(socket, key, problem), this.signal)
        .catch((error: unknown) => {
          socket.destroy();
          throw error;
        });
    } catch (error) {
      // The host no longer has a key of a pinned type; asking what it has now makes the error line complete.
      if (error instanceof SshError && error.context['isKeyTypeGone'] === true) {
        await this.lookAtHostKey();
        throw this.check.refusal();
      }
      throw error;
    }
  }

  /** A key that cannot be used is fatal only where there is no password to log in with. */
  private async loadKey(): Promise<{ key?: ParsedKey; problem?: SshError }> {
    try {
      const key = await this.options.privateKey?.load(this.target.keyPassphrase);
      return key === undefined ? {} : { key };
    } catch (error) {
      if (this.target.password === undefined || !(error instanceof SshError)) throw error;
      return { problem: error };
    }
  }

  private openSocket(): Promise<Socket> {
    return openSocket(this.target.host, this.target.port, this.options.connectTimeoutMs ?? 10_000, this.signal);
  }

  private login(socket: Socket, key: ParsedKey | undefined, problem: SshError | undefined): Promise<SshConnection> {
    const { label, check, target } = this;
    const loginTimeoutMs = this.options.loginTimeoutMs ?? 30_000;
    const client: Client = new ssh2.Client();
    const login = new Login({ user: target.user, password: target.password, key });
    return new Promise((resolve, reject) => {
      let isSettled = false;
      let isKeyRefused = false;
      let isHandshakeDone = false;
      const settle = (): boolean => {
        if (isSettled) return false;
        isSettled = true;
        clearTimeout(timer);
        this.signal?.removeEventListener('abort', onAbort);
        return true;
      };
      // ssh2 may emit several errors for one cause, and some that are none: the first fatal one decides.
      const fail = (error: SshError): void => {
        if (!settle()) return;
        client.on('error', () => undefined);
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => fail(new SshError('cancelled', `cancelled while logging in to ${label}`));
      const onTimeout = (): void => {
        const stage = isHandshakeDone ? 'the login did not finish' : 'it accepted the connection but the SSH handshake did not finish';
        fail(new SshError('no-answer', `no answer from ${label}: ${stage} within ${loginTimeoutMs / 1000} s`));
      };
      const timer = setTimeout(onTimeout, loginTimeoutMs);
      this.signal?.addEventListener('abort', onAbort, { once: true });

      client.on('handshake', () => (isHandshakeDone = true));
      client.on('ready', () => {
        // Built before the promise settles, so that no error or close can fall between two listeners.
        if (settle()) resolve(new Ssh2Connection(client, socket, label));
      });
      client.on('error', (error: Error & { level?: string }) => {
        // A key that cannot sign is passed over; the login goes on with the next method.
        if (error.level === 'agent' || /^Error (while )?signing/.test(error.message)) return;
        if (error.level === 'client-authentication') fail(this.loginRefused(login, problem));
        else if (isKeyRefused) fail(check.refusal());
        else fail(this.protocolFailed(error, isHandshakeDone));
      });
      client.on('close', () =>
        fail(new SshError('lost', `${label} closed the connection during the ${isHandshakeDone ? 'login' : 'handshake'}`)),
      );
      try {
        client.connect({
          sock: socket,
          username: target.user,
          readyTimeout: 0,
          keepaliveInterval: this.options.keepaliveMs ?? 15_000,
          keepaliveCountMax: KEEPALIVES,
          algorithms: algorithmsFor(check.pinnedTypes),
          hostVerifier: (wire: Buffer) => {
            const isAccepted = check.accepts(wire);
            isKeyRefused = !isAccepted;
            return isAccepted;
          },
          authHandler: authHandlerOf(
            login,
            () => check.settle(),
            (error) => fail(error as SshError),
          ),
        });
      } catch (error) {
        fail(this.protocolFailed(error as Error, false));
      }
      if (this.signal?.aborted === true) onAbort();
      // It died while it waited for its turn, and will tell nobody again.
      if (socket.destroyed) fail(this.protocolFailed(new Error('ECONNRESET'), false));
    });
  }

  private loginRefused(login: Login, problem: SshError | undefined): SshError {
    const tried = login.tried.length === 0 ? 'no login method was possible' : `tried: ${login.tried.join(', ')}`;
    const note = problem === undefined ? '' : `; ${problem.message}`;
    return new SshError('login-refused', `login as ${this.target.user} refused by ${this.label} (${tried}${note})`);
  }

  private protocolFailed(error: Error, isHandshakeDone: boolean): SshError {
    const text = messageOf(error);
    if (/no matching host key format/i.test(text) && this.check.pinnedTypes.length > 0) {
      return new SshError('host-key-changed', text, { context: { isKeyTypeGone: true } });
    }
    if (/no matching/i.test(text)) {
      return new SshError(
        'handshake',
        `${this.label} and this service have no safe algorithm in common (${text}); the host may offer only outdated ones`,
        {
          cause: error,
        },
      );
    }
    if (!isHandshakeDone && /lost before handshake|ECONNRESET/.test(text)) {
      return new SshError(
        'lost',
        `${this.label} closed the connection before it greeted: it may have too many at once (MaxStartups), or not want us`,
        {
          cause: error,
          context: { isTurnedAway: true },
        },
      );
    }
    const stage = isHandshakeDone ? 'login' : 'handshake';
    return new SshError(isHandshakeDone ? 'lost' : 'handshake', `the SSH ${stage} with ${this.label} failed: ${text}`, { cause: error });
  }

  /** Shakes hands with all algorithms, only to see the host's key: it is refused, and nothing is sent. */
  private async lookAtHostKey(): Promise<void> {
    const socket = await this.openSocket();
    const client: Client = new ssh2.Client();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), this.options.loginTimeoutMs ?? 30_000);
      client.on('error', () => socket.destroy());
      client.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
      client.connect({
        sock: socket,
        username: this.target.user,
        readyTimeout: 0,
        algorithms: algorithmsFor([]),
        hostVerifier: (wire: Buffer) => {
          this.check.see(hostKeyFromWire(wire));
          return false;
        },
      });
    });
  }
}
