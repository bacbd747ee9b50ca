import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** What a metric is called and means. Without labels, leave `labels` out. */
export interface MetricDeclaration<Label extends string> {
  /** `dynflow_…`, ending in a unit (`_seconds`, `_bytes`), for counters in `_total`. */
  name: string;
  help: string;
  labels?: readonly Label[];
}

export interface GaugeDeclaration<Label extends string> extends MetricDeclaration<Label> {
  /** Called at each scrape to set the value of the moment. */
  collect?: (gauge: Gauge<Label>) => void | Promise<void>;
}

export interface HistogramDeclaration<Label extends string> extends MetricDeclaration<Label> {
  /** Upper bounds, in the metric's unit; `durationBuckets` unless given. */
  buckets?: readonly number[];
}

/** Seconds from a millisecond to an hour: steps are short, jobs are not. */
export const durationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1_800, 3_600] as const;

/** The metrics of one process, in the format of Prometheus. A name can be declared once; labels have to be few and bounded. */
export class Metrics {
  readonly #registry = new Registry();

  /** With `program` as the label of every metric. Those of the process itself are there unless `process` is false. */
  constructor({ program, process = true }: { program: string; process?: boolean }) {
    this.#registry.setDefaultLabels({ program });
    if (process) {
      collectDefaultMetrics({ register: this.#registry });
    }
  }

  counter<Label extends string = never>(declaration: MetricDeclaration<Label>): Counter<Label> {
    return new Counter(this.#options(declaration, /_total$/));
  }

  gauge<Label extends string = never>({ collect, ...declaration }: GaugeDeclaration<Label>): Gauge<Label> {
    const options = this.#options(declaration, /(?<!_total)$/);
    if (collect === undefined) {
      return new Gauge(options);
    }
    return new Gauge({
      ...options,
      collect() {
        return collect(this);
      },
    });
  }

  histogram<Label extends string = never>({ buckets = durationBuckets, ...declaration }: HistogramDeclaration<Label>): Histogram<Label> {
    return new Histogram({ ...this.#options(declaration, /_(seconds|bytes)$/), buckets: [...buckets] });
  }

  /** The answer to a scrape; serve it as `contentType`. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #options<Label extends string>({ name, help, labels = [] }: MetricDeclaration<Label>, ending: RegExp) {
    if (!/^dynflow_[a-z][a-z0-9_]*$/.test(name) || !ending.test(name)) {
      throw new TypeError(`${name} is no fit name for this kind of metric: dynflow_…, counters _total, histograms _seconds or _bytes`);
    }
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}
