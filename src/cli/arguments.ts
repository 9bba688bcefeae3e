import { readFileSync, writeFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import { AoError } from '../lib/errors.ts'
import { isId, type MessageId, type Nonce, type ProcessId, parseId, parseNonce } from '../protocol/ids.ts'
import type { Tag } from '../protocol/tags.ts'
import { defaultTestnetDirectory } from '../testnet/layout.ts'

/** Collects `--tag Name=Value`, as often as it is given. */
export function collectTag(text: string, before: readonly Tag[] = []): readonly Tag[] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('write it as Name=Value')
  return [...before, { name: text.slice(0, at), value: text.slice(at + 1) }]
}

export const collectText = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

export const processArgument = (text: string): ProcessId => parseId<ProcessId>(text, 'process')

/** A message id, or a nonce. */
export const messageOrNonce = (text: string): MessageId | Nonce =>
  isId(text) ? (text as MessageId) : parseNonce(/^[0-9]+$/.test(text) ? text : undefined, 'message or nonce')

/** `@file` reads a file; anything else is the text itself. */
export function textOrFile(text: string): string {
  if (!text.startsWith('@')) return text
  return readUserFile(text.slice(1)).toString('utf8')
}

/** @throws AoError `INVALID_ARGUMENT` if it cannot be read. */
export function readUserFile(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new AoError('INVALID_ARGUMENT', `cannot read ${file}`, { file, reason }, { cause, hint: 'Check the path.' })
  }
}

/** `--dir` of every command about the testnet. */
export const testnetDirectory = (command: Command): Command =>
  command.option('--dir <directory>', 'directory of the testnet', defaultTestnetDirectory)

/** @throws AoError `INVALID_ARGUMENT` if it cannot be written. */
export function writeUserFile(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes)
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'not writable'
    throw new AoError('INVALID_ARGUMENT', `cannot write ${file}`, { file, reason }, { cause, hint: 'Check the path.' })
  }
}
