import { generateKey } from '../../../src/protocol/keys.ts'
import { action, anchor } from './crank-bench.ts'

/** What we use of aoconnect 0.0.98. */
interface Aoconnect {
  message(args: object): Promise<string>
  signMessage(args: object): Promise<{ readonly id: string; readonly raw: ArrayBuffer }>
  sendSignedMessage(signed: { readonly id: string; readonly raw: ArrayBuffer }): Promise<string>
  result(args: object): Promise<{ readonly Error?: string; readonly error?: string; readonly Output?: unknown }>
}

/** Sends one message and gives its id. */
type Send = () => Promise<string>

/** The other side, as the bench sees it. */
export interface Served {
  /** Asks the Process, as its owner may, how many it has counted. */
  counter(): Promise<number>
  /** CPU that its units have used. */
  cpuMs(): number
}

/** An unmodified aoconnect with an RSA wallet, talking to one counter Process. */
export class AoconnectUser {
  readonly #ao: Aoconnect
  readonly #signer: unknown
  readonly #process: string

  readonly counter: Served['counter']
  readonly cpuMs: Served['cpuMs']

  private constructor(ao: Aoconnect, signer: unknown, process: string, served: Served) {
    this.counter = served.counter
    this.cpuMs = served.cpuMs
    this.#ao = ao
    this.#signer = signer
    this.#process = process
  }

  static async of(
    urls: { readonly MU_URL: string; readonly CU_URL: string },
    process: string,
    served: Served,
  ): Promise<AoconnectUser> {
    const { connect, createDataItemSigner } = await import('@permaweb/aoconnect')
    const ao = connect({ MODE: 'legacy', ...urls } as never) as unknown as Aoconnect
    return new AoconnectUser(ao, createDataItemSigner(generateKey('rsa')), process, served)
  }

  /** Messages that are signed when they are sent. */
  fresh(count: number): Send[] {
    return Array.from({ length: count }, () => () => this.#ao.message(this.#increment()))
  }

  /** Messages signed now. */
  async prepared(count: number): Promise<Send[]> {
    const sends: Send[] = []
    for (let i = 0; i < count; i++) {
      const signed = await this.#ao.signMessage(this.#increment())
      sends.push(() => this.#ao.sendSignedMessage(signed))
    }
    return sends
  }

  /** Sends all, so many at once, each followed by its result. How long each took, in milliseconds. */
  async converse(messages: readonly Send[], inFlight: number): Promise<readonly number[]> {
    const waited: number[] = []
    const left = messages.values()
    const next = async (): Promise<void> => {
      for (const send of left) {
        const start = performance.now()
        await this.#result(await send())
        waited.push(performance.now() - start)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, next))
    return waited
  }

  #increment(): object {
    return { process: this.#process, signer: this.#signer, tags: [action('Inc')], data: ' ', anchor: anchor() }
  }

  async #result(message: string): Promise<unknown> {
    const { Error: failure, error, Output } = await this.#ao.result({ process: this.#process, message })
    if (failure !== undefined || error !== undefined) throw new Error(`the Process failed: ${failure ?? error}`)
    return Output
  }
}
