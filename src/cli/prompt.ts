import { createInterface } from 'node:readline/promises'
import { AoError } from '../lib/errors.ts'
import { readPassphraseFile } from '../node/keys.ts'

/** Whether there is a person to ask. */
export const canAsk = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true

/** Asks on the terminal; an empty answer is the one proposed. */
export async function ask(question: string, proposed: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${question}${proposed === '' ? '' : ` [${proposed}]`}: `)
    return answer.trim() || proposed
  } finally {
    terminal.close()
  }
}

/** Asks without showing what is typed. @throws AoError `ABORTED` on Ctrl-C. */
export function askSecret(question: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(`${question}: `)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  return new Promise((resolve, reject) => {
    let typed = ''
    const end = (settle: () => void): void => {
      stdin.off('data', onData)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
      settle()
    }
    const onData = (text: string): void => {
      for (const letter of text) {
        const isEnd = letter === '\r' || letter === '\n' || letter === '\u0004'
        if (isEnd || letter === '\u0003') {
          end(() => (isEnd ? resolve(typed) : reject(new AoError('ABORTED', 'interrupted'))))
          return
        }
        typed = letter === '\u007f' || letter === '\b' ? typed.slice(0, -1) : typed + letter
      }
    }
    stdin.on('data', onData)
    stdin.resume()
  })
}

export interface PassphraseOptions {
  readonly passphraseFile?: string | undefined
  readonly insecurePlaintextKey?: boolean | undefined
}

/**
 * The passphrase for a key that is to be written: from a file, from `AONET_KEY_PASSPHRASE`, or typed twice. Undefined
 * where a plain key was asked for.
 *
 * @throws AoError `INVALID_ARGUMENT` if there is none, and nobody to ask.
 */
export async function newPassphrase(options: PassphraseOptions, what = 'the key'): Promise<string | undefined> {
  if (options.insecurePlaintextKey === true) return undefined
  const given = givenPassphrase(options)
  if (given !== undefined) return given
  if (!canAsk()) throw noPassphrase()
  const typed = await askSecret(`Passphrase for ${what}`)
  if (typed === '') throw new AoError('INVALID_ARGUMENT', 'the passphrase is empty', {}, { hint: 'Choose one.' })
  if (typed !== (await askSecret('Once more'))) {
    throw new AoError('INVALID_ARGUMENT', 'the two are not the same', {}, { hint: 'Type it again.' })
  }
  return typed
}

/** The passphrase of a key that is there. @throws AoError `INVALID_ARGUMENT` if there is none, and nobody to ask. */
export async function knownPassphrase(options: PassphraseOptions, file: string): Promise<string> {
  const given = givenPassphrase(options)
  if (given !== undefined) return given
  if (!canAsk()) throw noPassphrase()
  return askSecret(`Passphrase of ${file}`)
}

const givenPassphrase = ({ passphraseFile }: PassphraseOptions): string | undefined =>
  passphraseFile === undefined ? process.env['AONET_KEY_PASSPHRASE'] : readPassphraseFile(passphraseFile)

const noPassphrase = (): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    'a passphrase is needed',
    {},
    {
      hint: 'Give --passphrase-file, set AONET_KEY_PASSPHRASE, or (on a testnet) choose --insecure-plaintext-key.',
    },
  )
