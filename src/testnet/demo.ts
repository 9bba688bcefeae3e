import { GatewayClient } from '../arweave/gateway-client.ts'
import { Client } from '../client/client.ts'
import { publishModule } from '../client/module.ts'
import { readSettledSchedule } from '../client/schedule-on-arweave.ts'
import { sleep, withDeadline } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import { silentTelemetry } from '../lib/telemetry.ts'
import { connectNode } from '../network/grpc/connect.ts'
import { loadKey } from '../node/keys.ts'
import type { Assignment } from '../protocol/assignment.ts'
import { parseAttestation } from '../protocol/attestation.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import type { Address, ModuleId, ProcessId } from '../protocol/ids.ts'
import { aosScript, type DemoScript, echoScript } from './demo-scripts.ts'
import { endpointOf, rememberModule, type TestnetNode } from './layout.ts'
import type { Testnet } from './testnet.ts'

/** One step as it is printed and, with `--json`, returned. */
export interface DemoStep {
  readonly title: string
  readonly lines: readonly string[]
  readonly ms: number
}

/** Takes one message through the whole network, every step shown with ids, nonces and times. */
export async function runDemo(
  testnet: Testnet,
  say: (text: string) => void,
): Promise<{ readonly steps: readonly DemoStep[]; readonly tryNext: readonly string[] }> {
  const demo = await Demo.open(testnet, say)
  try {
    const tryNext = await demo.run()
    return { steps: demo.steps, tryNext }
  } finally {
    await demo.close()
  }
}

class Demo {
  readonly steps: DemoStep[] = []
  readonly #testnet: Testnet
  readonly #say: (text: string) => void
  readonly #client: Client
  readonly #arweave: GatewayClient
  readonly #signal = withDeadline(240_000)

  private constructor(testnet: Testnet, say: (text: string) => void, client: Client) {
    this.#testnet = testnet
    this.#say = say
    this.#client = client
    this.#arweave = new GatewayClient(silentTelemetry, { gatewayUrl: testnet.state.arweave.url })
  }

  static async open(testnet: Testnet, say: (text: string) => void): Promise<Demo> {
    const { nodes, wallet } = testnet.state
    const entry = nodes.find(({ roles }) => roles.includes('MU'))
    if (entry === undefined) throw new AoError('NOT_READY', 'the testnet has no MU to talk to')
    const node = await connectNode(endpointOf(entry), {})
    return new Demo(testnet, say, new Client(node, loadKey(wallet, 'Start afresh with --fresh.').signer))
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  /** @returns commands to go on with. */
  async run(): Promise<readonly string[]> {
    this.#say('\nOne message through the network:')
    await this.#step('the units find each other over libp2p', () => this.#discovery())
    const script = await aosScript(this.#say).then(aos => aos ?? echoScript())
    const module = await this.#step(`the ${script.name} module is put on Arweave`, () => this.#publish(script))
    const a = await this.#step('process A is spawned on the first SU', () => this.#spawn(module, 0))
    const b = await this.#step('process B is spawned on the second SU', () => this.#spawn(module, 1))
    const first = await this.#step(`A evaluates ${script.first.shown}`, () => this.#evaluate(a, script, 'first'))
    await this.#step('A and B are taught to play ping-pong', () => this.#teach(a, b, script))
    await this.#step('A sends B a ping; each MU delivers what the other process answers', () =>
      this.#pingPong(a, b, script),
    )
    await this.#step('the node that answered is killed; the next result comes from another CU', () =>
      this.#failover(a, first, script),
    )
    await this.#step("A's log is read back from Arweave and its hash chain checked", () => this.#settled(a))
    this.#farewell(a, b)
    return [...script.tryNext(a), 'npx aonet spawn --name mine', 'npx aonet testnet status']
  }

  async #discovery() {
    const wanted = this.#testnet.state.nodes.length
    let units = await this.#client.node.listUnits({ signal: this.#signal })
    while (units.length < wanted) {
      await sleep(50, { signal: this.#signal })
      units = await this.#client.node.listUnits({ signal: this.#signal })
    }
    const lines = units.map(
      ({ address, roles, grpc }) =>
        `${this.#nameOf(address).padEnd(6)} ${roles.join('+').padEnd(8)} ${address} at ${grpc}`,
    )
    return { value: undefined, lines }
  }

  async #publish(script: DemoScript) {
    const signer = loadKey(this.#testnet.state.wallet, '').signer
    const id = await publishModule(script.module, { arweave: this.#arweave, signer }, { signal: this.#signal })
    rememberModule(this.#testnet.directory, script.name, id)
    return {
      value: id,
      lines: [`module ${id}  ${script.module.format}, ${script.module.bytes.length.toLocaleString('en')} bytes`],
    }
  }

  async #spawn(module: ModuleId, index: number) {
    const schedulers = this.#testnet.state.nodes.filter(({ roles }) => roles.includes('SU'))
    const scheduler = schedulers[index % schedulers.length] as TestnetNode
    const assignment = await this.#client.spawn({ module, scheduler: scheduler.address }, { signal: this.#signal })
    await this.#client.result(assignment.process, assignment.message, { signal: this.#signal })
    return {
      value: assignment.process,
      lines: [
        `process ${assignment.process}  ordered by ${scheduler.name} as nonce ${assignment.nonce} at height ${assignment.blockHeight}`,
      ],
    }
  }

  async #evaluate(process: ProcessId, script: DemoScript, which: 'first' | 'afterKill') {
    const message = script[which]
    const assignment = await this.#client.send(process, message, { signal: this.#signal })
    const { result, attestation } = await this.#client.result(process, assignment.message, { signal: this.#signal })
    const { compute } = parseAttestation(await verifyDataItem(attestation))
    const output = script.outputText(result)
    if (result.error !== undefined || output !== message.expected) {
      throw new AoError('INTERNAL', `the result is not what it should be: ${result.error ?? output}`, {
        expected: message.expected,
      })
    }
    const lines = [
      orderedLine(assignment, this.#nameOf(assignment.scheduler)),
      `result ${output}  signed by ${this.#nameOf(compute)}, state root ${result.stateRoot}`,
    ]
    return { value: compute, lines }
  }

  async #teach(a: ProcessId, b: ProcessId, script: DemoScript) {
    const lines: string[] = []
    for (const [process, message] of [
      [a, script.teachA],
      [b, script.teachB],
    ] as const) {
      if (message === undefined) continue
      const assignment = await this.#client.send(process, message, { signal: this.#signal })
      const { result } = await this.#client.result(process, assignment.message, { signal: this.#signal })
      if (result.error !== undefined) throw new AoError('INTERNAL', `the handler was refused: ${result.error}`)
      lines.push(orderedLine(assignment, this.#nameOf(assignment.scheduler)))
    }
    return { value: undefined, lines: lines.length > 0 ? lines : ['this module knows it already'] }
  }

  async #pingPong(a: ProcessId, b: ProcessId, script: DemoScript) {
    const assignment = await this.#client.send(a, script.ping(b), { signal: this.#signal })
    const lines = [orderedLine(assignment, this.#nameOf(assignment.scheduler))]
    const delivered = new Set<string>()
    for await (const progress of this.#client.follow(a, assignment.message, { signal: this.#signal })) {
      if (progress.state !== 'done' && progress.state !== 'failed') continue
      for (const part of progress.parts) {
        const from = progress.process === a ? 'A' : 'B'
        const to = part.target === a ? 'A' : part.target === b ? 'B' : part.target
        if (part.state !== 'pushed')
          throw new AoError('INTERNAL', `a message was not delivered: ${part.reason ?? part.state}`)
        if (part.message === undefined || delivered.has(part.message)) continue
        delivered.add(part.message)
        lines.push(`${from} nonce ${progress.nonce} → ${to} nonce ${part.nonce}  message ${part.message}`)
      }
    }
    if (delivered.size < script.hops)
      throw new AoError('INTERNAL', `only ${delivered.size} of ${script.hops} messages were delivered`)
    return { value: undefined, lines }
  }

  async #failover(a: ProcessId, killed: Address, script: DemoScript) {
    const name = this.#nameOf(killed)
    this.#testnet.kill(name)
    const { value, lines } = await this.#evaluate(a, script, 'afterKill')
    if (value === killed) throw new AoError('INTERNAL', 'the killed CU answered')
    return { value, lines: [`${name} killed`, ...lines, 'the state it replayed is the same: the count goes on'] }
  }

  async #settled(a: ProcessId) {
    const newest = await this.#client.assignment(a, 'newest', { signal: this.#signal })
    for (;;) {
      const bundles = await this.#arweave.bundlesWith(
        [
          { name: 'Process', value: a },
          { name: 'Type', value: 'Assignment' },
        ],
        { signal: this.#signal },
      )
      const schedule = await readSettledSchedule({ process: a, scheduler: newest.scheduler, bundles }, this.#arweave, {
        signal: this.#signal,
      }).catch(error => {
        if (error instanceof AoError && error.code === 'NONCE_GAP') return undefined // an earlier bundle is still on its way
        throw error
      })
      const last = schedule?.assignments.at(-1)
      if (schedule !== undefined && last !== undefined && last.nonce >= newest.nonce) {
        const lines = [
          ...bundles.map(id => `bundle ${id}`),
          `${schedule.items} items, every signature good; nonces 0 to ${last.nonce} link up to ${last.hashChain}`,
        ]
        return { value: undefined, lines }
      }
      await sleep(300, { signal: this.#signal })
    }
  }

  #farewell(a: ProcessId, b: ProcessId): void {
    this.#say(
      [
        '',
        'That was a real message: signed, ordered, evaluated, answered, delivered and settled.',
        `  process A  ${a}`,
        `  process B  ${b}`,
      ].join('\n'),
    )
  }

  async #step<T>(title: string, work: () => Promise<{ value: T; lines: readonly string[] }>): Promise<T> {
    const started = performance.now()
    const { value, lines } = await work()
    const ms = Math.round(performance.now() - started)
    this.steps.push({ title, lines, ms })
    this.#say(
      `\n${String(this.steps.length).padStart(2)}. ${title}  (${ms} ms)\n${lines.map(line => `      ${line}`).join('\n')}`,
    )
    return value
  }

  #nameOf(address: Address): string {
    return this.#testnet.state.nodes.find(node => node.address === address)?.name ?? address
  }
}

const orderedLine = ({ message, nonce }: Assignment, scheduler: string): string =>
  `message ${message}  ordered by ${scheduler} as nonce ${nonce}`
