import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { messageOf } from '@dynflow/kernel';
import type { Client, ClientChannel, PseudoTtyOptions } from 'ssh2';
import { SshError } from './errors.js';
import { shellQuote } from './shell-quote.js';
import type { SshChannel, SshConnection, SshExecOptions, SshExit } from './transport.js';

/** How long a closed connection may take to say goodbye before its socket is destroyed. */
const GOODBYE_MS = 1_000;

/** No echo, no line editing, no signals from characters, no translation of line ends, in either direction. */
const rawTerminal: PseudoTtyOptions = {
  term: 'dumb',
  cols: 80,
  rows: 24,
  modes: {
    ECHO: 0,
    ECHOE: 0,
    ECHOK: 0,
    ECHONL: 0,
    ICANON: 0,
    ISIG: 0,
    IEXTEN: 0,
    ICRNL: 0,
    INLCR: 0,
    IXON: 0,
    IXOFF: 0,
    OPOST: 0,
    ONLCR: 0,
  },
};

/** A connection over ssh2's client. Made by `Ssh2Transport`. */
export class Ssh2Connection implements SshConnection {
  readonly closed: Promise<Error | undefined>;
  private cause: Error | undefined;
  private isClosing = false;

  /** @param client a client that has just become ready, on `socket`. */
  constructor(
    private readonly client: Client,
    private readonly socket: Socket,
    private readonly label: string,
  ) {
    // Errors after the login are not fatal by themselves; the loss of the socket is, and then the first of them is the cause.
    client.on('error', (error: Error) => (this.cause ??= error));
    this.closed = new Promise((resolve) =>
      client.once('close', () => resolve(this.isClosing ? undefined : (this.cause ?? new Error('closed by the host')))),
    );
  }

  exec(command: string, options: SshExecOptions = {}): Promise<SshChannel> {
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void =>
        reject(
          this.isOpenFailure(error)
            ? new SshError('session-refused', `${this.label} opens no further session: ${error.message}`, { cause: error })
            : new SshError('lost', `the connection to ${this.label} was lost: ${error.message}`, { cause: error }),
        );
      try {
        this.client.exec(command, options.hasTerminal === true ? { pty: rawTerminal } : {}, (error, channel) => {
          if (error) refuse(error);
          else resolve(new Ssh2Channel(channel, this.closed));
        });
      } catch (error) {
        // Thrown in the caller's stack when the socket is gone already.
        refuse(error as Error);
      }
    });
  }

  async upload(path: string, content: string | Uint8Array, mode: number): Promise<void> {
    const part = shellQuote(`${path}.${randomBytes(6).toString('hex')}`);
    const size = Buffer.byteLength(content);
    // The size tells a whole file from one whose end was lost with the connection.
    const steps = [
      `umask 077; cat > ${part}`,
      `[ "$(wc -c < ${part})" -eq ${size} ]`,
      `chmod ${mode.toString(8).padStart(4, '0')} ${part}`,
      `mv -f ${part} ${shellQuote(path)}`,
    ];
    const channel = await this.exec(`exec /bin/sh -c ${shellQuote(`${steps.join(' && ')} || { rm -f ${part}; exit 1; }`)}`);
    channel.stdin.end(content);
    channel.stdout.resume();
    const words: Buffer[] = [];
    channel.stderr.on('data', (chunk: Buffer) => words.push(chunk));
    const exit = await channel.exit;
    await channel.closed;
    if (exit.kind === 'status' && exit.code === 0) return;
    throw new SshError(
      'upload-failed',
      `cannot write ${path} on ${this.label}: ${Buffer.concat(words).toString().trim() || describe(exit)}`,
    );
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.client.end();
    // Not the client's own destroy(), which does nothing once the end was sent: a host that hangs would be waited for.
    const timer = setTimeout(() => this.socket.destroy(), GOODBYE_MS);
    await this.closed;
    clearTimeout(timer);
  }

  private isOpenFailure(error: Error): boolean {
    return /channel open failure|unable to exec|unable to request/i.test(messageOf(error));
  }
}

function describe(exit: SshExit): string {
  switch (exit.kind) {
    case 'status':
      return `exit status ${exit.code}`;
    case 'signal':
      return exit.signal;
    case 'lost':
      return exit.reason;
  }
}

class Ssh2Channel implements SshChannel {
  readonly stdin;
  readonly stdout;
  readonly stderr;
  readonly exit: Promise<SshExit>;
  readonly closed: Promise<void>;

  constructor(
    private readonly channel: ClientChannel,
    connectionClosed: Promise<Error | undefined>,
  ) {
    this.stdin = channel;
    this.stdout = channel;
    this.stderr = channel.stderr;
    // A command may end before it has read all its input; that is not an error of ours.
    channel.on('error', () => undefined);
    this.exit = new Promise((resolve) => {
      channel.once('exit', (code: number | null, signal?: string) =>
        resolve(code === null ? { kind: 'signal', signal: signal ?? 'SIG?' } : { kind: 'status', code }),
      );
      channel.once('close', () => resolve({ kind: 'lost', reason: 'the host closed the session without an exit status' }));
      void connectionClosed.then((cause) => resolve({ kind: 'lost', reason: cause?.message ?? 'the connection was closed' }));
    });
    this.closed = new Promise((resolve) => {
      channel.once('close', () => resolve());
      void connectionClosed.then(() => resolve());
    });
  }

  close(): void {
    this.channel.close();
  }
}
