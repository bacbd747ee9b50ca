import type { Foreman } from '@dynflow/testing';
import { progressOf } from './batch.js';
import type { Batch, HostRun } from './batch.js';
import type { OutputLine } from './output-lines.js';
import type { Colour, Screen } from './screen.js';
import { tableLines } from './table.js';

const hostColours: readonly Colour[] = ['cyan', 'magenta', 'blue', 'yellow'];
const widestBar = 40;

/** Whether the host has done its job and Foreman has been told so. */
export function isGood(run: HostRun, foreman: Foreman): boolean {
  return run.exitStatus === '0' && foreman.counts()[run.taskId] === 1 && foreman.resultOf(run.taskId) === 'success';
}

/** Shows a batch: hosts' lines as they come, a bar below them, a table at the end. */
export class BatchView {
  readonly #screen: Screen;
  readonly #batch: Batch;
  readonly #startedAt = Date.now();

  constructor(screen: Screen, batch: Batch) {
    this.#screen = screen;
    this.#batch = batch;
  }

  start(): void {
    this.#screen.showStatus(() => this.#bar());
  }

  hostLine(run: HostRun, { type, text }: OutputLine): void {
    const screen = this.#screen;
    const painted = type === 'stderr' ? screen.paint(text, 'yellow') : type === 'stdout' ? text : screen.paint(text, 'dim');
    screen.line(`${this.#prefix(run)} ${painted}`);
  }

  hostEnd(run: HostRun): void {
    const { glyphs } = this.#screen;
    const isSuccess = run.exitStatus === '0';
    const verdict = `${isSuccess ? glyphs.done : glyphs.failed} exit status ${run.exitStatus}`;
    const count = this.#screen.paint(`(${this.#ended()} of ${this.#batch.runs.length} hosts done)`, 'dim');
    this.#screen.line(`${this.#prefix(run)} ${this.#screen.paint(verdict, isSuccess ? 'green' : 'red')} ${count}`);
  }

  end(): void {
    this.#screen.clearStatus();
  }

  table(foreman: Foreman): void {
    const screen = this.#screen;
    const head = ['Host', 'Address', 'Exit status', 'Duration', 'Callback at Foreman'].map((title) => screen.paint(title, 'bold'));
    const rows = this.#batch.runs.map((run) => {
      const { host, port } = run.host.server;
      const isSuccess = run.exitStatus === '0';
      return [
        screen.paint(run.host.name, this.#colourOf(run)),
        `${host.includes(':') ? `[${host}]` : host}:${port}`,
        screen.paint(run.exitStatus ?? '?', isSuccess ? 'green' : 'red'),
        run.durationSeconds === undefined ? '?' : `${run.durationSeconds.toFixed(1)} s`,
        this.#callback(run, foreman),
      ];
    });
    for (const line of tableLines([head, ...rows])) screen.line(`  ${line}`);
  }

  #callback(run: HostRun, foreman: Foreman): string {
    const screen = this.#screen;
    const received = foreman.callbacks.find((callback) => callback.taskId === run.taskId);
    if (received === undefined) return screen.paint(`${screen.glyphs.failed} none`, 'red');
    const delayMs = Math.max(0, Math.round(received.request.at - (run.endedAtMs ?? received.request.at)));
    const result = foreman.resultOf(run.taskId) ?? 'no result';
    const isSuccess = result === 'success';
    return `${screen.paint(`${isSuccess ? screen.glyphs.done : screen.glyphs.failed} ${result}`, isSuccess ? 'green' : 'red')}, after ${delayMs} ms`;
  }

  #bar(): string {
    const { glyphs } = this.#screen;
    const share = progressOf(this.#batch);
    const seconds = ((Date.now() - this.#startedAt) / 1000).toFixed(1);
    const facts = ` ${String(Math.round(share * 100)).padStart(3)} %  ${this.#ended()} of ${this.#batch.runs.length} hosts done  ${seconds} s`;
    const width = Math.max(5, Math.min(widestBar, this.#screen.columns - facts.length - 3));
    const full = Math.round(share * width);
    return `${this.#screen.paint(glyphs.full.repeat(full), 'green')}${this.#screen.paint(glyphs.empty.repeat(width - full), 'dim')}${facts}`;
  }

  #ended(): number {
    return this.#batch.runs.filter((run) => run.exitStatus !== undefined).length;
  }

  #prefix(run: HostRun): string {
    const width = Math.max(...this.#batch.runs.map((each) => each.host.name.length));
    return this.#screen.paint(`${run.host.name.padEnd(width)} ${this.#screen.glyphs.bar}`, this.#colourOf(run));
  }

  #colourOf(run: HostRun): Colour {
    return hostColours[this.#batch.runs.indexOf(run) % hostColours.length] ?? 'cyan';
  }
}
