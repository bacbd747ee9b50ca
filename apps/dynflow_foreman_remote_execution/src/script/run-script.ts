import { randomBytes, randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { messageOf } from '@dynflow/kernel';
import type { SshConnection, SshTransport } from '../ssh/transport.js';
import { ScriptSetupError } from './errors.js';
import { explainNotStarted } from './explain-not-started.js';
import type { ScriptJob } from './job.js';
import { OutputQueue } from './output.js';
import type { WriteOutput } from './output.js';
import { ScriptSession, statusOf } from './script-session.js';
import type { SessionEnd, SessionPlan } from './script-session.js';
import { userSwitchOf, wantsTerminal } from './user-switch.js';

/** A timer cannot be set further ahead, some 24 days; a longer limit is none. */
const MAX_LIMIT_SECONDS = 2_147_483;

export interface ScriptPorts {
  readonly transport: SshTransport;
  readonly write: WriteOutput;
}

export interface ScriptOptions {
  /** Names the directory on the host, `foreman-ssh-cmd-<id>`. Default: a new UUID. */
  readonly id?: string;
  /** From TERM to KILL. Default 10 s. */
  readonly graceMs?: number;
  /** From KILL until the host counts as not answering. Default 5 s. */
  readonly confirmMs?: number;
  /** How long silent output streams are waited for after the script has ended. Default 5 s. */
  readonly lingerMs?: number;
}

/** `EXCEPTION`: the script was not started, or how it ended is not known; the last `debug` line says which. */
export interface ScriptResult {
  readonly exitStatus: number | 'EXCEPTION';
}

/**
 * Runs a script on a host and streams what it prints.
 *
 * Never throws for anything that a host or a network does: that is one clear `debug` line and `EXCEPTION`. Aborting the signal ends
 * the job: at once while connecting, else TERM to all its processes, after the grace KILL. The job's directory on the host is removed
 * on every path that still reaches the host. No secret is written, logged or put on a command line.
 *
 * Unlike Foreman's own runner it asks for no terminal, so that stdout and stderr stay apart and lines end as the script wrote them; only
 * where the switch of user demands a terminal (`requiretty`) it uses one, and then all output is stdout.
 *
 * @throws what `ports.write` throws; the job is stopped first.
 */
export async function runScript(
  job: ScriptJob,
  ports: ScriptPorts,
  signal: AbortSignal,
  options: ScriptOptions = {},
): Promise<ScriptResult> {
  const run = new ScriptRun(job, ports, options);
  const onAbort = (): void => run.stop('Cancel requested, trying to stop the job');
  const limitSeconds = job.execution_timeout_interval;
  const onTimeout = (): void => run.stop('Timeout for execution passed, trying to stop the job');
  const timer = limitSeconds === undefined || limitSeconds > MAX_LIMIT_SECONDS ? undefined : setTimeout(onTimeout, limitSeconds * 1000);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await run.run();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

class ScriptRun {
  private readonly connecting = new AbortController();
  private readonly output: OutputQueue;
  private session: ScriptSession | undefined;
  private isStopping = false;

  constructor(
    private readonly job: ScriptJob,
    private readonly ports: ScriptPorts,
    private readonly options: ScriptOptions,
  ) {
    this.output = new OutputQueue(ports.write, () => this.stop(undefined));
  }

  stop(line: string | undefined): void {
    if (this.isStopping) return;
    this.isStopping = true;
    if (line !== undefined) this.debug(line);
    this.connecting.abort();
    this.session?.stop();
  }

  async run(): Promise<ScriptResult> {
    const exitStatus = await this.connectAndRun();
    await this.output.flush();
    return { exitStatus };
  }

  private async connectAndRun(): Promise<number | 'EXCEPTION'> {
    let connection: SshConnection | undefined;
    try {
      const plan = this.plan();
      connection = await this.connect();
      return await this.runOn(connection, plan);
    } catch (error) {
      this.debug(
        this.isStopping
          ? `Stopped before the script was started; nothing was run on ${this.job.hostname}`
          : `Error initializing command: ${this.redact(messageOf(error))}`,
      );
      return 'EXCEPTION';
    } finally {
      await connection?.close();
    }
  }

  private connect(): Promise<SshConnection> {
    const { job } = this;
    const { ssh_password: password, key_passphrase: keyPassphrase } = job.secrets;
    return this.ports.transport.connect(
      {
        host: job.hostname,
        port: job.ssh_port,
        user: job.ssh_user,
        isFirstContact: job.first_execution,
        ...(password === undefined ? {} : { password }),
        ...(keyPassphrase === undefined ? {} : { keyPassphrase }),
      },
      this.connecting.signal,
    );
  }

  private plan(): SessionPlan {
    const { job, options } = this;
    const id = options.id ?? randomUUID();
    if (!/^[\w.-]{1,128}$/.test(id)) throw new ScriptSetupError('the id of the job cannot be part of a directory name');
    const workingDir = job.remote_working_dir;
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (!posix.isAbsolute(workingDir) || /[\u0000-\u001f\u007f]/.test(workingDir)) {
      throw new ScriptSetupError('the remote working directory must be an absolute path without control characters');
    }
    const nonce = `rex-${randomBytes(12).toString('hex')}`;
    const script = job.script.replaceAll('\r', '');
    return {
      nonce,
      workingDir,
      dir: posix.join(workingDir, `foreman-ssh-cmd-${id}`),
      script: script.endsWith('\n') ? script : `${script}\n`,
      isCleanedUp: job.cleanup_working_dirs,
      userSwitch: userSwitchOf(job, nonce),
      hasTerminal: false,
      graceMs: options.graceMs ?? 10_000,
      confirmMs: options.confirmMs ?? 5_000,
      lingerMs: options.lingerMs ?? 5_000,
    };
  }

  private async runOn(connection: SshConnection, plan: SessionPlan): Promise<number | 'EXCEPTION'> {
    if (this.isStopping) throw new ScriptSetupError('stopped');
    this.session = new ScriptSession(connection, plan, this.output);
    const end = await this.session.run();
    if (end.hasRun) return this.finish(end);
    if (this.isStopping) throw new ScriptSetupError('stopped');
    if (plan.userSwitch !== undefined && !plan.hasTerminal && wantsTerminal(end.text)) {
      return this.runOn(connection, { ...plan, hasTerminal: true });
    }
    throw new ScriptSetupError(explainNotStarted(end, plan, this.job));
  }

  /** The script was started. */
  private finish(end: SessionEnd): number | 'EXCEPTION' {
    const { hostname } = this.job;
    const status = statusOf(end.exit);
    if (end.isUnconfirmed) {
      this.debug(`${hostname} did not confirm the end of the job, neither after TERM nor after KILL; it may still be running there`);
      return 'EXCEPTION';
    }
    if (status === undefined) {
      const reason = end.exit.kind === 'lost' ? end.exit.reason : '';
      this.debug(`Lost the connection to ${hostname} (${reason}); the job may still be running there, its exit status is unknown`);
      return 'EXCEPTION';
    }
    if (end.isOutputCutOff) this.debug('The script has ended, but a process that it started still holds its output; not waiting for it');
    if (end.order !== undefined) this.debug(`The job was stopped with ${end.order}, exit status ${status}`);
    return status;
  }

  /** Last guard: hosts and libraries write their own words, and no secret may stand in them. */
  private redact(text: string): string {
    let safe = text;
    for (const secret of Object.values(this.job.secrets) as (string | undefined)[])
      if (secret !== undefined) safe = safe.replaceAll(secret, '*****');
    return safe;
  }

  private debug(line: string): void {
    void this.output.write('debug', `${line}\n`);
  }
}
