import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { AoError } from '../lib/errors.ts'
import {
  environmentName,
  flagName,
  type NodeOptions,
  type Setting,
  type SettingName,
  settingNames,
  settings,
} from './settings.ts'

export interface ConfigSources {
  /** YAML or JSON file. */
  readonly file?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** By setting name, as commander gives them. */
  readonly flags?: Readonly<Record<string, unknown>>
}

interface Found {
  readonly value: unknown
  readonly source: string
}

/**
 * The effective options: default, then file, then environment, then flag. The only reader of the environment.
 *
 * @throws AoError `INVALID_CONFIG` with every mistake at once and where each value came from.
 */
export function loadConfig({ file, environment = {}, flags = {} }: ConfigSources): NodeOptions {
  const fromFile = file === undefined ? {} : readConfigFile(file)
  const mistakes = Object.keys(fromFile)
    .filter(name => !(name in settings))
    .map(name => `${name} (in ${file}) is not a setting${suggestion(name)}`)
  const entries = settingNames.map(name => {
    const found = find(name, { fromFile, file, environment, flags })
    const setting = settings[name] as Setting<unknown>
    if (found === undefined) return [name, setting.initial] as const
    const parsed = setting.schema.safeParse(found.value)
    if (parsed.success) return [name, parsed.data] as const
    const reason = parsed.error.issues.map(issue => issue.message).join(', ')
    mistakes.push(`${name} (from ${found.source}): ${reason}; it should be: ${setting.help}`)
    return [name, setting.initial] as const
  })
  if (mistakes.length > 0) {
    throw new AoError(
      'INVALID_CONFIG',
      `the configuration has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n  - ${mistakes.join('\n  - ')}`,
      { mistakes: mistakes.length },
      { hint: 'Mend the values named above; `aonet start --print-config` shows all settings.' },
    )
  }
  return Object.fromEntries(entries) as unknown as NodeOptions
}

/** The options as a commented YAML file, ready to edit. */
export const configFile = (options: Partial<NodeOptions>): string =>
  settingNames
    .map(name => {
      const given = options[name]
      const value = JSON.stringify(given ?? settings[name].initial)
      return `# ${settings[name].help}\n${given === undefined ? '# ' : ''}${name}: ${value}\n`
    })
    .join('\n')

/** One line per setting, secrets hidden. */
export const printableConfig = (options: NodeOptions): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    settingNames.map(name => [name, (settings[name] as Setting<unknown>).secret === true ? '•••' : options[name]]),
  )

function find(
  name: SettingName,
  sources: {
    readonly fromFile: Readonly<Record<string, unknown>>
    readonly file: string | undefined
    readonly environment: Readonly<Record<string, string | undefined>>
    readonly flags: Readonly<Record<string, unknown>>
  },
): Found | undefined {
  const { fromFile, file, environment, flags } = sources
  if (flags[name] !== undefined) return { value: flags[name], source: `--${flagName(name)}` }
  const variable = environmentName(name)
  if (environment[variable] !== undefined) return { value: environment[variable], source: variable }
  if (name in fromFile) return { value: fromFile[name], source: String(file) }
  return undefined
}

function readConfigFile(file: string): Readonly<Record<string, unknown>> {
  if (!existsSync(file)) {
    throw new AoError(
      'INVALID_CONFIG',
      `there is no configuration file ${file}`,
      { file },
      { hint: 'Make one with `aonet init`.' },
    )
  }
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8')) ?? {}
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : ''
    throw new AoError(
      'INVALID_CONFIG',
      `${file} cannot be read as YAML: ${reason}`,
      { file },
      { cause, hint: 'Mend the file, or make a new one with `aonet init`.' },
    )
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new AoError(
      'INVALID_CONFIG',
      `${file} is not a list of settings`,
      { file },
      { hint: 'Write lines like `httpPort: 8734`.' },
    )
  }
  return content as Record<string, unknown>
}

function suggestion(name: string): string {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, '')
  const near = settingNames.find(known => plain(known) === plain(name) || plain(known).includes(plain(name)))
  return near === undefined ? '' : `; did you mean ${near}?`
}
