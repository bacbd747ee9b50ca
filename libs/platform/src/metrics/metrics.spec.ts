import { describe, expect, it } from 'vitest';
import { Metrics } from './metrics.js';

describe('Metrics', () => {
  it('gives counters, gauges and histograms in the format of Prometheus', async () => {
    const metrics = new Metrics({ program: 'dynflow_api', process: false });
    metrics.counter({ name: 'dynflow_plans_total', help: 'Plans.', labels: ['result'] }).inc({ result: 'success' }, 2);
    metrics.gauge({ name: 'dynflow_slots_free', help: 'Free slots.' }).set(7);
    metrics.histogram({ name: 'dynflow_step_duration_seconds', help: 'Steps.', buckets: [1, 2] }).observe(1.5);

    const text = await metrics.text();
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toContain('# HELP dynflow_plans_total Plans.\n# TYPE dynflow_plans_total counter');
    expect(text).toContain('dynflow_plans_total{result="success",program="dynflow_api"} 2');
    expect(text).toContain('dynflow_slots_free{program="dynflow_api"} 7');
    expect(text).toContain('dynflow_step_duration_seconds_bucket{le="2",program="dynflow_api"} 1');
    expect(text).not.toContain('process_');
  });

  it('asks a collected gauge at each scrape', async () => {
    const metrics = new Metrics({ program: 'x', process: false });
    let running = 1;
    metrics.gauge({ name: 'dynflow_running', help: 'Running.', collect: (gauge) => gauge.set(running) });

    expect(await metrics.text()).toContain('dynflow_running{program="x"} 1');
    running = 5;
    expect(await metrics.text()).toContain('dynflow_running{program="x"} 5');
  });

  it('has the metrics of the process, each set of its own', async () => {
    const [one, other] = [new Metrics({ program: 'one' }), new Metrics({ program: 'other' })];

    expect(await one.text()).toMatch(/process_cpu_seconds_total\{program="one"\} [\d.]+/);
    expect(await other.text()).toMatch(/nodejs_eventloop_lag_p99_seconds\{program="other"\}/);
  });

  it('refuses names that do not say what they are, and doubles', () => {
    const metrics = new Metrics({ program: 'x', process: false });

    expect(() => metrics.counter({ name: 'plans_total', help: 'x' })).toThrow(/no fit name/);
    expect(() => metrics.counter({ name: 'dynflow_plans', help: 'x' })).toThrow(/no fit name/);
    expect(() => metrics.gauge({ name: 'dynflow_plans_total', help: 'x' })).toThrow(/no fit name/);
    expect(() => metrics.histogram({ name: 'dynflow_step_ms', help: 'x' })).toThrow(/no fit name/);
    metrics.gauge({ name: 'dynflow_plans', help: 'x' });
    expect(() => metrics.gauge({ name: 'dynflow_plans', help: 'x' })).toThrow(/already been registered/);
  });
});
