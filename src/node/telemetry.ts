import { type Logger as Pino, pino } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { LogFacts, Logger, Metrics, Telemetry } from '../lib/telemetry.ts'
import { logText } from './log-text.ts'

/** Log lines on standard output: text where somebody looks at it, else JSON. And a registry for `/metrics`. */
export interface NodeTelemetry extends Telemetry {
  /** Prometheus text. */
  metricsText(): Promise<string>
  /** The least severe line to write from now on, by every logger of the node. */
  setLevel(level: LogLevel): void
}

const severity = { error: 0, warn: 1, info: 2, debug: 3 } as const
export type LogLevel = keyof typeof severity
export const isLogLevel = (text: unknown): text is LogLevel => typeof text === 'string' && Object.hasOwn(severity, text)

export function createTelemetry(options: { readonly level: LogLevel; readonly node: string }): NodeTelemetry {
  // pino gives each child a level of its own when it is made: what can change later is kept beside it.
  const limit = { severity: severity[options.level] as number }
  const root = pino(
    {
      level: 'debug',
      base: { node: options.node },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    process.stdout.isTTY
      ? { write: line => process.stdout.write(logText(line, process.env['NO_COLOR'] === undefined)) }
      : pino.destination(1),
  )
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return {
    log: pinoLogger(root, limit),
    metrics: promMetrics(registry),
    metricsText: () => registry.metrics(),
    setLevel: level => {
      limit.severity = severity[level]
    },
  }
}

const pinoLogger = (log: Pino, limit: { readonly severity: number }): Logger => {
  const at =
    (level: LogLevel) =>
    (event: string, facts: LogFacts = {}): void => {
      if (severity[level] <= limit.severity) log[level](facts, event)
    }
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: facts => pinoLogger(log.child(facts), limit),
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
