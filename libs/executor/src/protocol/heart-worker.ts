import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '@dynflow/kernel';
import { connectNatsBus } from '@dynflow/bus';
import { HeartbeatAnswerV1, subjects, type HeartbeatV1 } from '@dynflow/contracts';
import type { HeartNews, HeartState, HeartThreadData } from './heart-messages.js';

/*
 * The thread of a `ThreadHeart`: its own connection to NATS and its own timer, so that a plugin that computes, or a disk that hangs, does
 * not make the executor look dead. It knows nothing but the last state that it was given.
 */

const { nats, plugin, executorId, heartbeatMs, requestTimeoutMs, lastAnsweredMs } = workerData as HeartThreadData;
let state: HeartbeatV1 | undefined;

const tell = (news: HeartNews): void => parentPort?.postMessage(news);
const bus = await connectNatsBus({ ...nats, user: plugin, name: `${plugin} ${executorId} heartbeat` });

async function beat(): Promise<void> {
  if (state === undefined) {
    return;
  }
  try {
    const answer = await bus.request(subjects.heartbeat(plugin, executorId), state, { timeoutMs: requestTimeoutMs });
    const { announce, lostAfterMs } = HeartbeatAnswerV1.parse(answer);
    lastAnsweredMs[0] = Date.now();
    tell({ kind: 'answered', announce, lostAfterMs });
  } catch (error) {
    tell({ kind: 'unanswered', reason: messageOf(error) });
  }
}

parentPort?.on('message', (message: HeartState) => {
  state = message.state;
  if (message.isUrgent) {
    void beat();
  }
});
setInterval(() => void beat(), heartbeatMs);
