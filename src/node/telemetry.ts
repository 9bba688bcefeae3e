import { type Logger as Pino, pino } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { LogFacts, Logger, Metrics, Telemetry } from '../lib/telemetry.ts'

/** JSON log lines on standard output, and a registry for `/metrics`. */
export interface NodeTelemetry extends Telemetry {
  /** Prometheus text. */
  metricsText(): Promise<string>
}

export function createTelemetry(options: { readonly level: string; readonly node: string }): NodeTelemetry {
  const root = pino({
    level: options.level,
    base: { node: options.node },
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
  })
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return { log: pinoLogger(root), metrics: promMetrics(registry), metricsText: () => registry.metrics() }
}

const pinoLogger = (log: Pino): Logger => {
  const at =
    (level: 'error' | 'warn' | 'info' | 'debug') =>
    (event: string, facts: LogFacts = {}): void =>
      log[level](facts, event)
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: facts => pinoLogger(log.child(facts)),
  }
}

const promMetrics = (registry: Registry): Metrics => ({
  counter: (name, help, labels = []) => {
    const counter =
      existing(registry, name, Counter) ?? new Counter({ name, help, labelNames: [...labels], registers: [registry] })
    return { add: (value = 1, values = {}) => counter.inc(values, value) }
  },
  gauge: (name, help, read) => {
    const gauge = new Gauge({
      name,
      help,
      registers: [registry],
      ...(read === undefined
        ? {}
        : {
            collect() {
              this.set(read())
            },
          }),
    })
    return { set: value => gauge.set(value) }
  },
  histogram: (name, help, buckets) => {
    const histogram = new Histogram({
      name,
      help,
      registers: [registry],
      ...(buckets === undefined ? {} : { buckets: [...buckets] }),
    })
    return { observe: value => histogram.observe(value) }
  },
})

/** Two parts of one node may move the same counter. */
function existing<T>(registry: Registry, name: string, kind: new (...args: never[]) => T): T | undefined {
  const metric = registry.getSingleMetric(name)
  return metric instanceof kind ? metric : undefined
}
