import { MemoryHostKeyStore } from '../ssh/host-keys.js';
import { PrivateKeyFile } from '../ssh/private-key.js';
import { Ssh2Transport } from '../ssh/ssh2-transport.js';
import type { Ssh2TransportOptions } from '../ssh/ssh2-transport.js';
import { parseScriptJob } from './job.js';
import type { OutputType } from './output.js';
import { runScript } from './run-script.js';
import type { ScriptOptions, ScriptResult } from './run-script.js';

/** A server to run scripts on, as specs start one. */
export interface LabServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly clientKeyPath: string;
}

/** A script that is running, or has run. */
export interface LabRun {
  readonly chunks: readonly { readonly type: OutputType; readonly text: string }[];
  readonly result: Promise<ScriptResult>;
  cancel(): void;
  /** All output of one type so far. */
  text(type: OutputType): string;
  /** Settles when output of a type holds a text; rejects when the script ends before that. */
  seen(type: OutputType, needle: string): Promise<void>;
}

/** For specs: runs scripts on one server with the real transport and collects what they print. */
export class ScriptLab {
  readonly hostKeys = new MemoryHostKeyStore();
  readonly transport: Ssh2Transport;

  constructor(
    readonly server: LabServer,
    options: Partial<Ssh2TransportOptions> = {},
  ) {
    this.transport = new Ssh2Transport({ hostKeys: this.hostKeys, privateKey: new PrivateKeyFile(server.clientKeyPath), ...options });
  }

  /** Starts a script as Foreman would describe it; `input` adds to the server's address, port and user. */
  start(input: Record<string, unknown>, options: ScriptOptions & { onWrite?: () => Promise<void> } = {}): LabRun {
    const { host, port, user } = this.server;
    const chunks: { type: OutputType; text: string }[] = [];
    const waiting = new Set<() => void>();
    const abort = new AbortController();
    const write = (type: OutputType, text: string): void | Promise<void> => {
      chunks.push({ type, text });
      for (const look of waiting) look();
      return options.onWrite?.();
    };
    const job = parseScriptJob({ hostname: host, ssh_port: port, ssh_user: user, ...input });
    const result = runScript(job, { transport: this.transport, write }, abort.signal, options);
    const text = (type: OutputType): string =>
      chunks
        .filter((chunk) => chunk.type === type)
        .map((chunk) => chunk.text)
        .join('');
    const seen = (type: OutputType, needle: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!text(type).includes(needle)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        const ended = (): void => reject(new Error(`the script ended without "${needle}": ${JSON.stringify(chunks)}`));
        result.then(ended, ended);
      });
    return { chunks, result, cancel: () => abort.abort(), text, seen };
  }

  /** Runs a script to its end. */
  async run(input: Record<string, unknown>, options: ScriptOptions = {}): Promise<LabOutcome> {
    const run = this.start(input, options);
    const { exitStatus } = await run.result;
    return { exitStatus, stdout: run.text('stdout'), stderr: run.text('stderr'), debug: run.text('debug') };
  }
}

export interface LabOutcome {
  readonly exitStatus: ScriptResult['exitStatus'];
  readonly stdout: string;
  readonly stderr: string;
  readonly debug: string;
}
