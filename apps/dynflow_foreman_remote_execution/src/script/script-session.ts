import { constants } from 'node:os';
import { SshError } from '../ssh/errors.js';
import type { SshChannel, SshConnection, SshExit } from '../ssh/transport.js';
import type { OutputQueue } from './output.js';
import { readAll } from './output.js';
import { Preamble } from './preamble.js';
import type { Mark } from './preamble.js';
import { emergencyProgram, jobProgram } from './remote-program.js';
import { Utf8Stream } from './utf8-stream.js';
import type { UserSwitch } from './user-switch.js';

export interface SessionPlan {
  readonly nonce: string;
  readonly workingDir: string;
  readonly dir: string;
  /** Without carriage returns, with a line break at the end. */
  readonly script: string;
  readonly isCleanedUp: boolean;
  readonly userSwitch: UserSwitch | undefined;
  readonly hasTerminal: boolean;
  readonly graceMs: number;
  readonly confirmMs: number;
  readonly lingerMs: number;
}

/** How a session ended, as far as it is known. */
export interface SessionEnd {
  readonly exit: SshExit;
  /** True once the script was started; before that nothing of it can have run. */
  readonly hasRun: boolean;
  /** True when the bootstrap was reached; otherwise the login shell did something else. */
  readonly hasBegun: boolean;
  readonly isSwitching: boolean;
  /** Why the remote program gave up, in its own word. */
  readonly failReason: string | undefined;
  readonly prompts: number;
  /** What the host said before the script ran. */
  readonly text: string;
  /** True when the host did not end the job in time after it was told to, twice. */
  readonly isUnconfirmed: boolean;
  /** The strongest order that was given. */
  readonly order: 'TERM' | 'KILL' | undefined;
  /** True when something that the script started still held its output after it had ended. */
  readonly isOutputCutOff: boolean;
}

/** One session on a host that prepares, runs, stops and cleans up one script. Use once. */
export class ScriptSession {
  private readonly giveUp = new AbortController();
  private readonly preambles: Preamble[] = [];
  private channel: SshChannel | undefined;
  private hasBegun = false;
  private hasRun = false;
  private isSwitching = false;
  private isScriptSent = false;
  private isStopping = false;
  private isUnconfirmed = false;
  private isOutputCutOff = false;
  private failReason: string | undefined;
  private prompts = 0;
  private order: 'TERM' | 'KILL' | undefined;
  private hasExited = false;
  private busy = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: SshConnection,
    private readonly plan: SessionPlan,
    private readonly output: OutputQueue,
  ) {}

  /** Runs to the end. Throws only when no session could be opened. */
  async run(): Promise<SessionEnd> {
    const { plan } = this;
    const program = jobProgram({ ...plan, graceSeconds: Math.ceil(plan.graceMs / 1000) });
    const channel = await this.open(program.command);
    this.channel = channel;
    channel.stdin.write(program.input);
    this.isScriptSent = plan.userSwitch === undefined;
    if (this.isStopping) this.orderStop();
    void channel.exit.then(() => {
      this.hasExited = true;
      this.watchForLingering();
    });
    const streams = [this.read(channel, 'stdout'), ...(plan.hasTerminal ? [] : [this.read(channel, 'stderr')])];
    await Promise.all(streams);
    const exit = await Promise.race([channel.exit, this.abandoned()]);
    clearTimeout(this.timer);
    channel.close();
    if (exit.kind !== 'status' || this.isUnconfirmed) await this.cleanUpByForce();
    return {
      exit,
      hasRun: this.hasRun,
      hasBegun: this.hasBegun,
      isSwitching: this.isSwitching,
      failReason: this.failReason,
      prompts: this.prompts,
      text: this.preambles
        .map((preamble) => preamble.text.trim())
        .filter((text) => text !== '')
        .join(' '),
      isUnconfirmed: this.isUnconfirmed,
      order: this.order,
      isOutputCutOff: this.isOutputCutOff,
    };
  }

  /** Tells the host to end the job: TERM to all its processes, after the grace KILL, after that by force. Idempotent. */
  stop(): void {
    if (this.isStopping) return;
    this.isStopping = true;
    if (this.channel !== undefined) this.orderStop();
    // A host that hangs may never open the session.
    else this.timer = setTimeout(() => this.abandon(), this.plan.confirmMs);
  }

  private async open(command: string): Promise<SshChannel> {
    const opening = this.connection.exec(command, { hasTerminal: this.plan.hasTerminal });
    const channel = await Promise.race([opening, this.abandoned()]);
    clearTimeout(this.timer);
    if ('stdin' in channel) return channel;
    opening.then(
      (late) => late.close(),
      () => undefined,
    );
    throw new SshError('lost', 'the host opened no session');
  }

  private orderStop(): void {
    if (this.hasExited) return this.abandon();
    if (this.isScriptSent) {
      // Before the mark an order could be swallowed together with the script: some `head` read on past what they were asked for.
      if (this.hasRun) this.tell('TERM');
      this.timer = setTimeout(() => {
        this.tell('KILL');
        this.timer = setTimeout(() => this.abandonUnconfirmed(), this.plan.confirmMs);
      }, this.plan.graceMs);
      return;
    }
    // The script is not there yet: without it the remote program cleans up and ends.
    if (this.plan.hasTerminal) this.channel?.close();
    else this.channel?.stdin.end();
    this.timer = setTimeout(() => this.abandonUnconfirmed(), this.plan.confirmMs);
  }

  private tell(order: 'TERM' | 'KILL'): void {
    this.order = order;
    this.channel?.stdin.write(`${order}\n`);
  }

  private abandonUnconfirmed(): void {
    this.isUnconfirmed = true;
    this.abandon();
  }

  private abandon(): void {
    this.giveUp.abort();
  }

  private abandoned(): Promise<SshExit> {
    return new Promise((resolve) => {
      const give = (): void => resolve({ kind: 'lost', reason: 'the host did not confirm the end of the job' });
      if (this.giveUp.signal.aborted) setImmediate(give);
      else this.giveUp.signal.addEventListener('abort', () => setImmediate(give), { once: true });
    });
  }

  private async read(channel: SshChannel, name: 'stdout' | 'stderr'): Promise<void> {
    const decoder = new Utf8Stream();
    const preamble = new Preamble(
      this.plan.nonce,
      (mark) => this.onMark(mark),
      (text) => this.onPreambleText(text),
    );
    this.preambles.push(preamble);
    await readAll(
      channel[name],
      async (bytes) => {
        const rest = preamble.isOver ? bytes : preamble.push(bytes);
        if (rest === undefined || rest.length === 0) return;
        this.busy += 1;
        clearTimeoutIf(this.hasExited, this.timer);
        await this.output.write(name, decoder.write(rest));
        this.busy -= 1;
        this.watchForLingering();
      },
      this.giveUp.signal,
    );
    await this.output.write(name, decoder.end());
  }

  /** Once the script has ended, silence on streams that stay open means that a process it left behind holds them. */
  private watchForLingering(): void {
    if (!this.hasExited || this.busy > 0) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.isOutputCutOff = true;
      this.abandon();
    }, this.plan.lingerMs);
  }

  private onMark(mark: Mark): void {
    switch (mark.kind) {
      case 'begin':
        this.hasBegun = true;
        return;
      case 'switch':
        this.isSwitching = true;
        return;
      case 'body':
        this.isSwitching = false;
        if (!this.isScriptSent && !this.isStopping) this.sendScript();
        return;
      case 'run':
        if (!this.hasRun && this.isStopping) this.tell('TERM');
        this.hasRun = true;
        return;
      case 'fail':
        this.failReason ??= mark.reason;
        return;
    }
  }

  /** Answers the switch of user once; asked again, it ends the input, because the password was wrong. */
  private onPreambleText(text: string): void {
    const { userSwitch } = this.plan;
    if (userSwitch === undefined || !this.hasBegun || this.isScriptSent || this.isStopping) return;
    const prompts = userSwitch.countPrompts(text);
    if (prompts <= this.prompts) return;
    this.prompts = prompts;
    if (prompts === 1 && userSwitch.password !== undefined) this.channel?.stdin.write(`${userSwitch.password}\n`);
    else if (this.plan.hasTerminal) this.channel?.close();
    else this.channel?.stdin.end();
  }

  private sendScript(): void {
    this.isScriptSent = true;
    this.channel?.stdin.write(this.plan.script);
  }

  /** The remote program did not end by itself: what it left is killed and removed, as far as the login user may. */
  private async cleanUpByForce(): Promise<void> {
    const program = emergencyProgram(this.plan.dir, this.plan.isCleanedUp);
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), this.plan.confirmMs);
    try {
      const gone = new Promise<undefined>((resolve) => limit.signal.addEventListener('abort', () => resolve(undefined)));
      void this.connection.closed.then(() => limit.abort());
      const channel = await Promise.race([this.connection.exec(program.command), gone]);
      if (channel === undefined) return;
      channel.stdin.end(program.input);
      channel.stdout.resume();
      channel.stderr.resume();
      await Promise.race([channel.exit, gone]);
    } catch {
      // The connection is gone: there is no way to the host.
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The exit status that a shell gives for an end by signal. */
export function statusOf(exit: SshExit): number | undefined {
  if (exit.kind === 'status') return exit.code;
  if (exit.kind === 'lost') return undefined;
  const number = constants.signals[exit.signal as NodeJS.Signals] as number | undefined;
  return 128 + (number ?? 0);
}

function clearTimeoutIf(condition: boolean, timer: NodeJS.Timeout | undefined): void {
  if (condition) clearTimeout(timer);
}
