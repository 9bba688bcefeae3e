import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { AoError } from '../lib/errors.ts'

export interface SupervisedOptions {
  readonly name: string
  /** Arguments of this program. */
  readonly args: readonly string[]
  readonly logFile: string
  /** Whether it serves: asked a few times a second while it starts. */
  readonly ready: () => Promise<boolean>
}

export type SupervisedState = 'stopped' | 'starting' | 'ready' | 'restarting'

/** One program of the testnet as a process of its own: restarted when it dies, stopped in order, its output in a file. */
export class Supervised {
  readonly name: string
  readonly #options: SupervisedOptions
  #child: ChildProcess | undefined
  #state: SupervisedState = 'stopped'
  #wanted = false
  #restarts = 0
  #startedAt = 0
  #restart: NodeJS.Timeout | undefined

  constructor(options: SupervisedOptions) {
    this.#options = options
    this.name = options.name
  }

  get state(): SupervisedState {
    return this.#state
  }
  get pid(): number | undefined {
    return this.#child?.pid
  }
  get restarts(): number {
    return this.#restarts
  }
  get startedAt(): number {
    return this.#startedAt
  }

  /** Resolves when it serves. @throws AoError `NOT_READY` with the last lines of its log if it dies or takes too long. */
  async start(timeoutMs = 60_000): Promise<void> {
    this.#wanted = true
    this.#launch()
    await this.#untilReady(timeoutMs)
  }

  /** Asks it to stop and waits; after the grace period it is killed. */
  async stop(graceMs = 15_000): Promise<void> {
    this.#wanted = false
    clearTimeout(this.#restart)
    const child = this.#child
    if (child === undefined) return
    const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await exited
    clearTimeout(timer)
    this.#state = 'stopped'
  }

  /** Kills it as a power cut would; supervision starts it again. */
  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  #launch(): void {
    const { args, logFile } = this.#options
    mkdirSync(dirname(logFile), { recursive: true })
    const log = openSync(logFile, 'a')
    const entry = process.argv[1] ?? ''
    // Detached, so that Ctrl-C reaches the supervisor alone and it stops all in order; the channel tells the child
    // when the supervisor is gone.
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', log, log, 'ipc'], detached: true })
    closeSync(log)
    this.#child = child
    this.#state = 'starting'
    this.#startedAt = Date.now()
    child.once('exit', () => this.#onExit(child))
    child.once('error', () => this.#onExit(child))
    this.#watch(child)
  }

  #watch(child: ChildProcess): void {
    const { ready } = this.#options
    const poll = async (): Promise<void> => {
      if (this.#child !== child || this.#state !== 'starting') return
      if (await ready().catch(() => false)) {
        if (this.#child === child) this.#state = 'ready'
      } else setTimeout(poll, 100)
    }
    void poll()
  }

  #onExit(child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.#state = this.#wanted ? 'restarting' : 'stopped'
    if (!this.#wanted) return
    this.#restarts++
    const delay = Math.min(30_000, 500 * 2 ** Math.min(this.#restarts, 6))
    this.#restart = setTimeout(() => this.#launch(), delay)
  }

  async #untilReady(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (this.#state !== 'ready') {
      if (Date.now() > deadline || this.#restarts >= 3) {
        const { logFile } = this.#options
        throw new AoError(
          'NOT_READY',
          `${this.name} did not start:\n${lastLines(logFile)}`,
          { log: logFile },
          {
            hint: `The whole log is in ${logFile}.`,
          },
        )
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

/** The end of a log, for whoever has to say why a program did not start. */
export function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n')
  } catch {
    return '(no log)'
  }
}
