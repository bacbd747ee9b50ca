import { messageOf } from '@dynflow/kernel';
import { ClaimAnswerV1, subjects, type ClaimRequestV1, type GrantV1 } from '@dynflow/contracts';
import type { ExecutorEnvironment } from '../executor-environment.js';
import { TurnEnd } from '../turn.js';
import { ClaimKeys, type ClaimKey } from './claim-keys.js';
import type { HeldStep } from './held-step.js';

/** What came of a claim. `failed`: nobody knows; the same claim may be asked again. */
export type ClaimResult =
  { kind: 'granted'; grant: GrantV1; fault: string | null } | { kind: 'refused'; reason: string } | { kind: 'failed'; reason: string };

interface Asked {
  readonly step: HeldStep;
  readonly resolve: (result: ClaimResult) => void;
}

/**
 * Asks the owners for steps. Claims for one shard that are made in the same turn of the event loop go in one request; a lost answer is
 * asked for again with the same claim ids, which get the same answer.
 */
export class Claimer {
  readonly #asked = new Map<number, Asked[]>();
  readonly #flush = new TurnEnd(() => this.#send());
  readonly #keys: ClaimKeys | undefined;

  constructor(
    private readonly environment: ExecutorEnvironment,
    hasSecrets: boolean,
  ) {
    this.#keys = hasSecrets ? new ClaimKeys(environment.clock, environment.tuning.claimKeyMs) : undefined;
  }

  async claim(step: HeldStep): Promise<ClaimResult> {
    return new Promise((resolve) => {
      const asked = this.#asked.get(step.shard);
      if (asked === undefined) {
        this.#asked.set(step.shard, [{ step, resolve }]);
      } else {
        asked.push({ step, resolve });
      }
      this.#flush.schedule();
    });
  }

  #send(): void {
    const size = this.environment.tuning.claimsPerRequest;
    for (const [shard, asked] of this.#asked) {
      for (let from = 0; from < asked.length; from += size) {
        void this.#ask(shard, asked.slice(from, from + size));
      }
    }
    this.#asked.clear();
  }

  async #ask(shard: number, asked: Asked[]): Promise<void> {
    try {
      const key = await this.#keys?.current();
      const answer = await this.#request(shard, asked, key);
      const results = new Map(answer.answers.map((entry) => [entry.claim, entry]));
      for (const { step, resolve } of asked) {
        const entry = results.get(step.claim);
        if (entry === undefined) {
          resolve({ kind: 'failed', reason: 'the answer does not name this claim' });
        } else if (entry.result === 'refused') {
          resolve({ kind: 'refused', reason: entry.reason });
        } else {
          resolve(entry.secrets === undefined ? { kind: 'granted', grant: entry, fault: null } : await unseal(entry, key));
        }
      }
    } catch (error) {
      for (const { resolve } of asked) {
        resolve({ kind: 'failed', reason: messageOf(error) });
      }
    }
  }

  async #request(shard: number, asked: Asked[], key: ClaimKey | undefined): Promise<ClaimAnswerV1> {
    const { bus, plugin, executorId, startId, tuning, clock, log } = this.environment;
    const request: ClaimRequestV1 = {
      type: 'claim',
      version: 1,
      executor: executorId,
      startId,
      ...(key === undefined ? {} : { publicKey: key.publicKey }),
      claims: asked.map(({ step: { claim, token } }) => ({ claim, plan: token.plan, step: token.step, attempt: token.attempt })),
    };
    for (let tries = 0; ; tries += 1) {
      try {
        return ClaimAnswerV1.parse(await bus.request(subjects.claim(shard, plugin), request, { timeoutMs: tuning.requestTimeoutMs }));
      } catch (error) {
        const pauseMs = tuning.claimRetriesMs[tries];
        if (pauseMs === undefined) {
          throw error;
        }
        log.debug('no answer to a claim; it is asked again', { shard, claims: asked.length, reason: messageOf(error) });
        await new Promise<void>((resolve) => {
          clock.at(clock.now() + pauseMs, resolve);
        });
      }
    }
  }
}

async function unseal(grant: GrantV1, key: ClaimKey | undefined): Promise<ClaimResult> {
  try {
    const secrets = await key?.open(grant.secrets ?? '');
    return { kind: 'granted', grant: { ...grant, input: { ...grant.input, ...secrets } }, fault: null };
  } catch (error) {
    return { kind: 'granted', grant, fault: `the step's secrets could not be opened: ${messageOf(error)}` };
  }
}
