import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { quoted } from '../../src/cli/commands/aos.ts'
import { cliPath } from '../support/run-cli.ts'

/** How it ends what a Process of aos 2.0.4 shows before it reads: `name@aos-2.0.4[Inbox:1]> `. */
const prompt = /aos-2\.0\.4\[Inbox:\d+\]> $/

/** The installed aos command line, started by `aonet aos`, in a terminal of its own. */
export class AosTerminal {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #closed: Promise<unknown>
  #unread = ''
  #wake = (): void => {}

  constructor(args: readonly string[], { cwd }: { readonly cwd: string }) {
    const command = [process.execPath, cliPath, 'aos', ...args].map(quoted).join(' ')
    this.#child = spawn('script', ['--quiet', '--return', '--command', `stty cols 200; ${command}`, '/dev/null'], {
      cwd,
      env: { ...process.env, TERM: 'xterm' },
      stdio: 'pipe',
    })
    this.#closed = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#unread += chunk.toString()
        this.#wake()
      })
    }
  }

  /** Resolves to all that was shown up to what is expected, without colours. @throws Error after a minute. */
  async shows(expected: RegExp): Promise<string> {
    const deadline = Date.now() + 60_000
    for (;;) {
      const text = stripVTControlCharacters(this.#unread).replaceAll('\r', '')
      const found = expected.exec(text)
      if (found) {
        const end = found.index + found[0].length
        this.#unread = text.slice(end)
        return text.slice(0, end)
      }
      if (Date.now() > deadline) throw new Error(`no ${expected} in what aos shows: ${text}`)
      await this.#news(deadline - Date.now())
    }
  }

  /** Resolves to all that was shown until aos reads again. */
  ready(): Promise<string> {
    return this.shows(prompt)
  }

  /** Types a line; resolves once aos has shown what is expected of it and reads again. */
  async types(line: string, expected: RegExp): Promise<void> {
    this.#child.stdin.write(`${line}\r`)
    await this.shows(new RegExp(`> ${escaped(line)}\n`))
    await this.shows(expected)
    await this.ready()
  }

  /** Resolves to the exit code. */
  async exit(): Promise<number | null> {
    this.#child.stdin.write('.exit\r')
    const stuck = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await this.#closed
    clearTimeout(stuck)
    return this.#child.exitCode
  }

  /** Ends it, whatever it is at. */
  kill(): void {
    this.#child.kill('SIGTERM') // script hands it on
  }

  #news(limitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, limitMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
