import type { Readable, Writable } from 'node:stream';

/** Where to connect and as whom. Credentials live here only for the time of the login. */
export interface SshTarget {
  /** A name, an IPv4 or an IPv6 address; brackets and a zone (`fe80::1%eth0`) are allowed. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Tried as `password` and, where the server knows only that, as the answer to one hidden keyboard-interactive prompt. */
  readonly password?: string;
  /** For the private key that the transport was configured with. */
  readonly keyPassphrase?: string;
  /** True for a host that was (re)built: what was known of its host key is forgotten before connecting. */
  readonly isFirstContact?: boolean;
}

/** How a remote command ended. `lost`: the channel or the connection went away before the host said how. */
export type SshExit =
  | { readonly kind: 'status'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'lost'; readonly reason: string };

export interface SshExecOptions {
  /** Asks for a terminal in raw mode without echo. stdout then carries stderr too. */
  readonly hasTerminal?: boolean;
}

/** One running remote command. Both output streams must be read, or the host is told to wait: that is the back-pressure. */
export interface SshChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once, never rejects; output may still arrive after it. */
  readonly exit: Promise<SshExit>;
  /** Settles when the channel is gone in both directions; output that was not read by then can still be read. Never rejects. */
  readonly closed: Promise<void>;
  /** Gives the channel up without waiting for the command, which may run on. */
  close(): void;
}

/** A logged-in connection. Several commands may run on it at once, up to what the server allows. */
export interface SshConnection {
  /** Settles when the connection is gone, with the cause if it was not asked for. Never rejects. */
  readonly closed: Promise<Error | undefined>;

  /**
   * Starts a command in the user's login shell.
   *
   * @throws SshError `session-refused` when the server opens no further session, `lost` when the connection is gone.
   */
  exec(command: string, options?: SshExecOptions): Promise<SshChannel>;

  /**
   * Writes a file in an existing directory, or replaces it; nobody sees it half written or with another mode.
   *
   * @throws SshError `upload-failed` with the host's own words.
   */
  upload(path: string, content: string | Uint8Array, mode: number): Promise<void>;

  /** Ends the connection, or gives it back to where it came from. Idempotent. */
  close(): Promise<void>;
}

/** Makes connections. The first implementation is `Ssh2Transport`; others must pass the same suite. */
export interface SshTransport {
  /**
   * Connects, checks the host's key, logs in.
   *
   * @throws SshError one kind per cause; `cancelled` at once when the signal fires.
   */
  connect(target: SshTarget, signal?: AbortSignal): Promise<SshConnection>;
}
