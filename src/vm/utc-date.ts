/**
 * A Date without a time zone and without a present: local time is UTC, and now is 1970. Emscripten's calendar functions
 * run on it, so their answers do not depend on where a node stands. (`TZ` would not do: a worker's own environment does
 * not reach the engine's clock.)
 */
export class UtcDate extends Date {
  constructor(...fields: number[]) {
    super(fields.length > 1 ? Date.UTC(...(fields as [number, number])) : (fields[0] ?? 0))
  }

  static override now(): number {
    return 0
  }

  override getTimezoneOffset(): number {
    return 0
  }

  getYear(): number {
    return this.getUTCFullYear() - 1900
  }

  override toTimeString(): string {
    return `${this.toISOString().slice(11, 19)} GMT+0000 (UTC)`
  }

  override toLocaleTimeString(): string {
    return `${this.toISOString().slice(11, 19)} UTC`
  }
}

for (const field of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
  for (const verb of ['get', 'set']) {
    const method: unknown = Reflect.get(Date.prototype, `${verb}UTC${field}`)
    if (method !== undefined) Object.defineProperty(UtcDate.prototype, verb + field, { value: method })
  }
}
