/** Times and sizes of an executor. Nobody needs to set one; tests and unusual networks may. */
export interface ExecutorTuning {
  heartbeatMs: number;
  /** How long to wait for the answer to an announcement, a heartbeat or a claim. */
  requestTimeoutMs: number;
  /** Pauses before a claim whose answer got lost is asked again; then its token is given back. */
  claimRetriesMs: readonly number[];
  /** After how long a token that could not be claimed may come again. */
  tokenRetryMs: number;
  /** How long one call for a token waits. */
  tokenExpiresMs: number;
  /** First pause after a queue or a gateway was not there; it doubles up to `awayMaxMs`. */
  awayFirstMs: number;
  awayMaxMs: number;
  /** A gateway that refused the manifest is asked again after this. */
  refusedRetryMs: number;
  /** A broken plugin is checked again after this. */
  recheckMs: number;
  /** What nobody confirmed is sent again after this. */
  resendMs: number;
  /** Output waits at most this long for company. */
  outputFlushMs: number;
  /** So much output of a step goes at once. */
  outputFlushBytes: number;
  /** Unconfirmed output of a step beyond this makes its writer wait. */
  outputWindowBytes: number;
  /** An outcome takes at most so much unconfirmed output with it. */
  outcomeChunkBytes: number;
  /** A message is not made larger than this. NATS refuses 1 MiB. */
  messageBytes: number;
  /** One request asks for at most so many claims. */
  claimsPerRequest: number;
  /** A key pair for secrets is used this long. */
  claimKeyMs: number;
  /**
   * Runs that were told to end by force have so long; then the gateway is told that their outcome is unknown. The gateway has as long
   * again to confirm what it was told last.
   */
  stopGraceMs: number;
  /**
   * After so long without an answer to a heartbeat, steps that must not run twice are ended here. Well below the time after which a
   * gateway gives up a silent executor.
   */
  cutOffMs: number;
  /** Documents are waited for this long while no gateway answers. */
  storeTimeoutMs: number;
}

export const DEFAULT_TUNING: ExecutorTuning = {
  heartbeatMs: 5_000,
  requestTimeoutMs: 5_000,
  claimRetriesMs: [200, 1_000, 3_000],
  tokenRetryMs: 5_000,
  tokenExpiresMs: 10_000,
  awayFirstMs: 50,
  awayMaxMs: 2_000,
  refusedRetryMs: 30_000,
  recheckMs: 60_000,
  resendMs: 5_000,
  outputFlushMs: 50,
  outputFlushBytes: 64 * 1024,
  outputWindowBytes: 1024 * 1024,
  outcomeChunkBytes: 256 * 1024,
  messageBytes: 480 * 1024,
  claimsPerRequest: 64,
  claimKeyMs: 30_000,
  stopGraceMs: 3_000,
  cutOffMs: 240_000,
  storeTimeoutMs: 30_000,
};
