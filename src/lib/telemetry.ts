/** Structured log lines: a constant event name and facts, never a built sentence. */
export interface Logger {
  error(event: string, facts?: LogFacts): void
  warn(event: string, facts?: LogFacts): void
  info(event: string, facts?: LogFacts): void
  debug(event: string, facts?: LogFacts): void
  child(facts: LogFacts): Logger
}
export type LogFacts = Readonly<Record<string, unknown>>

/** Seconds and bytes; labels only from closed sets, never a Process or peer id. */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter
  /** `read` is called at each scrape; without it the value is set by hand. */
  gauge(name: string, help: string, read?: () => number): Gauge
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram
}
export type Labels = Readonly<Record<string, string>>
export interface Counter {
  add(value?: number, labels?: Labels): void
}
export interface Gauge {
  set(value: number): void
}
export interface Histogram {
  observe(value: number): void
}

export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silentLogger,
}

export const silentMetrics: Metrics = {
  counter: () => ({ add: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
}

/** What nearly every component is given. */
export interface Telemetry {
  readonly log: Logger
  readonly metrics: Metrics
}
export const silentTelemetry: Telemetry = { log: silentLogger, metrics: silentMetrics }
