import { inspect } from 'node:util'

const colours: Readonly<Record<string, string>> = {
  error: '\x1B[31m',
  warn: '\x1B[33m',
  info: '\x1B[32m',
  debug: '\x1B[90m',
}
const grey = '\x1B[90m'
const plain = '\x1B[0m'

/**
 * A JSON log line as people read it: local time, level, event, then the facts as `name=value`, with stacks of errors below.
 * The node is left out, for only one writes to a terminal. What is no such line stays as it is.
 */
export function logText(line: string, colour: boolean): string {
  const row = parsed(line)
  if (row === undefined) return line
  const { level, time, event, node: _, error, ...facts } = row
  const paint = (code: string | undefined, text: string): string => (colour ? `${code ?? ''}${text}${plain}` : text)
  const shown = Object.entries(facts).map(([name, value]) => `${paint(grey, `${name}=`)}${valueText(value)}`)
  const head = [
    paint(grey, new Date(String(time)).toTimeString().slice(0, 8)),
    paint(colours[String(level)], String(level).padEnd(5)),
    String(event),
    ...shown,
  ].join(' ')
  return `${head}\n${error === undefined ? '' : `${errorText(error)}\n`}`
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>
  } catch {
    return undefined
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"]+$/.test(value) ? value : JSON.stringify(value)
  return Array.isArray(value) && value.every(part => typeof part === 'string') ? value.join(',') : JSON.stringify(value)
}

const errorText = (error: unknown): string => {
  const { stack } = error as { readonly stack?: unknown }
  return (typeof stack === 'string' ? stack : inspect(error)).replace(/^/gm, '    ')
}
