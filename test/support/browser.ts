// A real browser, driven over its own debugging protocol through two pipes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const program = ['chromium', 'chromium-browser', 'google-chrome'].find(
  name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)

/** Whether this machine has one. */
export const hasBrowser = program !== undefined

interface Answer {
  readonly id?: number
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

export class Browser {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #last = 0

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child
    this.#directory = directory
    let text = ''
    const input = child.stdio[4] as Readable
    input.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\0')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer
        if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer)
      }
    })
  }

  static open(): Browser {
    const directory = mkdtempSync(join(tmpdir(), 'aonet-browser-'))
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', '--no-first-run']
    const child = spawn(program ?? 'chromium', [...flags, `--user-data-dir=${directory}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    })
    return new Browser(child, directory)
  }

  /** Opens a page. */
  async page(url: string): Promise<Page> {
    const { targetId } = await this.#ask('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#ask('Target.attachToTarget', { targetId, flatten: true })
    const session = String(sessionId)
    await this.#ask('Page.navigate', { url }, session)
    return { run: script => this.#run(script, session) }
  }

  async close(): Promise<void> {
    await this.#ask('Browser.close').catch(() => undefined)
    await new Promise(resolve =>
      this.#child.exitCode === null ? this.#child.once('exit', resolve) : resolve(undefined),
    )
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #run(script: string, session: string): Promise<unknown> {
    const expression = `(async () => { ${script} })()`
    const parameters = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.#ask('Runtime.evaluate', parameters, session)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { readonly value?: unknown }).value
  }

  #ask(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result = {}, error }) => {
        this.#waiting.delete(id)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
      const output = this.#child.stdio[3] as Writable
      output.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }
}

export interface Page {
  /** Runs the body of an async function there; gives what it returns. */
  run(script: string): Promise<unknown>
}
