import type { RestedPlan } from '@dynflow/engine';
import { Metrics } from '@dynflow/platform';
import type { OperationStatus } from '@dynflow/plugin';

/** What is measured of the moment, at each scrape. */
export interface GatewayGauges {
  activePlans: () => number;
  tokenBacklog: () => number;
  operations: () => OperationStatus[];
}

/** The gateway's own metrics; `docs/operations/metrics.md` is made from their help texts. */
export class GatewayMetrics {
  readonly #metrics = new Metrics({ program: 'dynflow_api' });
  readonly #finished = this.#metrics.counter({
    name: 'dynflow_finished_execution_plans_total',
    help: 'Execution plans that came to rest, by state (stopped, paused) and result',
    labels: ['state', 'result'],
  });

  planRested(plan: RestedPlan): void {
    this.#finished.inc({ state: plan.state, result: plan.result });
  }

  watch(gauges: GatewayGauges): void {
    this.#metrics.gauge({
      name: 'dynflow_active_execution_plans',
      help: 'Execution plans of this gateway that are not at rest',
      collect: (gauge) => gauge.set(gauges.activePlans()),
    });
    this.#metrics.gauge({
      name: 'dynflow_queue_size',
      help: 'Ready steps that wait in this gateway for a slot of an executor',
      collect: (gauge) => gauge.set(gauges.tokenBacklog()),
    });
    this.#metrics.gauge({
      name: 'dynflow_operation_available',
      help: '1 if the operation can be run now, 0 if its executors are away or broken',
      labels: ['operation'],
      collect: (gauge) => {
        for (const operation of gauges.operations()) {
          gauge.set({ operation: operation.name }, operation.availability === 'alive' ? 1 : 0);
        }
      },
    });
  }

  text(): Promise<string> {
    return this.#metrics.text();
  }
}
