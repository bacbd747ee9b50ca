import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { ServerChannel } from 'ssh2';

/** One command of a session, run by `/bin/sh` in a session of its own, as sshd does it. */
export class RunningCommand {
  /** Settles when the command has ended and its output is delivered, or nobody is left to take it. */
  readonly done: Promise<void>;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor(command: string, channel: ServerChannel, home: string) {
    const env = { ...process.env, HOME: home, USER: process.env['USER'] ?? 'nobody', PWD: home };
    this.child = spawn('/bin/sh', ['-c', command], { cwd: home, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    const { child } = this;
    this.done = new Promise((resolve) => {
      child.once('error', (error) => {
        channel.stderr.write(`${error.message}\n`);
        channel.exit(127);
        channel.end();
        resolve();
      });
      // The status is told at once, the channel stays open while a child of the command holds its output: as with OpenSSH.
      child.once('exit', (code, signal) => {
        if (signal === null) channel.exit(code ?? 255);
        else channel.exit(signal.replace(/^SIG/, ''), false, '');
      });
      child.once('close', () => {
        channel.end();
        resolve();
      });
      channel.once('close', () => {
        child.stdin.destroy();
        child.stdout.destroy();
        child.stderr.destroy();
      });
    });
    child.stdin.on('error', () => undefined);
    channel.on('error', () => undefined);
    channel.pipe(child.stdin);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Kills the command and what shares its process group. */
  kill(): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
}
