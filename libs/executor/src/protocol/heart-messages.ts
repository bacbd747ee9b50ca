import type { NatsBusOptions } from '@dynflow/bus';
import type { HeartbeatV1 } from '@dynflow/contracts';

/** What the thread of a heart is started with. */
export interface HeartThreadData {
  readonly nats: Pick<NatsBusOptions, 'url' | 'credentials' | 'tls'>;
  readonly plugin: string;
  readonly executorId: string;
  readonly heartbeatMs: number;
  readonly requestTimeoutMs: number;
  /** One number: when a gateway answered last. Written by the thread, read by whoever was too busy to be told. */
  readonly lastAnsweredMs: Float64Array<SharedArrayBuffer>;
}

/** To the thread: what the next beats say; `isUrgent`: and one goes at once. */
export interface HeartState {
  readonly state: HeartbeatV1;
  readonly isUrgent: boolean;
}

/** From the thread: what came of a beat. */
export type HeartNews =
  | { readonly kind: 'answered'; readonly announce: boolean; readonly lostAfterMs: number | undefined }
  | { readonly kind: 'unanswered'; readonly reason: string };
