import { messageOf } from '@dynflow/kernel';
import { CONTRACTS, ManifestAnswerV1, subjects, type ManifestV1, type PluginDeclaration, type PluginHealth } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';

/** Tells the gateways what this executor can do, again and again until one accepts it. */
export class Announcer {
  /** Counts announcements: an older one gives up when a newer has begun. */
  #round = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(
    private readonly environment: ExecutorEnvironment,
    private readonly manifest: () => { declaration: PluginDeclaration; health: PluginHealth },
    private readonly onAnswer: (isAccepted: boolean) => void,
  ) {}

  announce(): void {
    this.#round += 1;
    this.#cancelTimer?.();
    void this.#try(this.#round, this.environment.tuning.awayFirstMs);
  }

  stop(): void {
    this.#round += 1;
    this.#cancelTimer?.();
  }

  async #try(round: number, pauseMs: number): Promise<void> {
    const { bus, plugin, executorId, tuning, log } = this.environment;
    let retryMs = pauseMs;
    try {
      const answer = ManifestAnswerV1.parse(
        await bus.request(subjects.heartbeat(plugin, executorId), this.#message(), { timeoutMs: tuning.requestTimeoutMs }),
      );
      if (round !== this.#round) {
        return;
      }
      this.onAnswer(answer.accepted);
      if (answer.accepted) {
        return;
      }
      log.error(`the gateway refuses the plugin ${plugin}`, { executor: executorId, reason: answer.reason ?? 'no reason given' });
      retryMs = tuning.refusedRetryMs;
    } catch (error) {
      if (round !== this.#round) {
        return;
      }
      const facts = { executor: executorId, reason: messageOf(error), retryInMs: retryMs };
      if (retryMs >= tuning.awayMaxMs) {
        log.info('waiting for a gateway', facts);
      } else {
        log.debug('waiting for a gateway', facts);
      }
    }
    const { clock } = this.environment;
    this.#cancelTimer = clock.at(clock.now() + retryMs, () => {
      void this.#try(round, Math.min(Math.max(pauseMs * 2, 1), tuning.awayMaxMs));
    });
  }

  #message(): ManifestV1 {
    const { executorId, startId, site, slots } = this.environment;
    const { declaration, health } = this.manifest();
    return {
      type: 'manifest',
      version: 1,
      contracts: { ...CONTRACTS },
      executor: executorId,
      startId,
      site,
      slots,
      health,
      declaration,
      settings: {},
    };
  }
}
