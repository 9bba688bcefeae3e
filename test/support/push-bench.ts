import type { CrankProgress, Scheduler } from '../../src/ports/units.ts'
import type { DataItem } from '../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { type Tag, tagValue } from '../../src/protocol/tags.ts'
import { aMessage, processIdOf } from './builders.ts'
import { recorder, type Script } from './script-vm.ts'
import { type NodeOptions, UnitNetwork, type UnitNode } from './unit-network.ts'

/** Sends the outbox that its message's data spells out as JSON. */
export const puppet: Script = (state, message) => {
  const data = String(message['Data'])
  return { state: Number(state ?? 0) + 1, answer: data.startsWith('{') ? JSON.parse(data) : { Output: data } }
}
/** Sends itself a message for each it gets. */
const endless: Script = (state, message) => ({
  state,
  answer:
    message['Data'] === '1984'
      ? {}
      : { Messages: [{ Target: message['Target'], Anchor: '', Tags: [], Data: 'again' }] },
})
/** Sends whoever wrote to it, or the Peer tag of a user's message, the same back, for ever. */
const volley: Script = (state, message) => {
  const tags = message['Tags'] as unknown as readonly Tag[]
  const peer = tagValue(tags, 'Peer') ?? tagValue(tags, 'From-Process')
  return { state: Number(state ?? 0) + 1, answer: peer === undefined ? {} : { Messages: [to(peer, 'again')] } }
}
/** Sends itself two messages for each it gets. */
const doubling: Script = (state, message) => {
  const twice = ['left', 'right'].map(side => to(String(message['Target']), side))
  return { state, answer: message['Data'] === '1984' ? {} : { Messages: twice } }
}
/** One outbox message, as a Process writes it. */
export const to = (target: string, data: string, tags: readonly Tag[] = []) => ({
  Target: target,
  Anchor: '',
  Tags: tags,
  Data: data,
})

/** The same unit, each method by hand: for wrapping one of them. */
export const unitMethods = (unit: Scheduler): Scheduler => ({
  schedule: (message, options) => unit.schedule(message, options),
  assign: (request, options) => unit.assign(request, options),
  clock: (process, options) => unit.clock(process, options),
  assignment: (process, at, options) => unit.assignment(process, at, options),
  process: (process, options) => unit.process(process, options),
  read: (process, range, options) => unit.read(process, range, options),
})

/** A network with an SU and a CU, an MU to try, a puppet that sends what it is told and a target that records. */
export interface PushBench {
  net: UnitNetwork
  su: UnitNode
  mu: UnitNode
  sender: DataItem
  target: DataItem
  /** Starts the MU and spawns sender and target; `suffix` tells repeated ones apart. */
  arrange(options?: NodeOptions, suffix?: string): Promise<void>
  /** Has the sender send that outbox; gives the last state of every job once all is quiet. */
  send(outbox: object): Promise<readonly CrankProgress[]>
  /** By the MU asked, or the bench's own. */
  progressOf(message: DataItem, mu?: UnitNode): Promise<readonly CrankProgress[]>
  /** The messages of a Process, without the Process item. */
  rowsOf(process: ProcessId): Promise<DataItem[]>
  dataOf(item: DataItem): Promise<string[]>
}

/** Sets the bench up anew for each test of the suite that calls it. */
export function pushBench(): PushBench {
  const bench = {} as PushBench
  bench.arrange = async (options = {}, suffix = '') => {
    bench.mu = await bench.net.node('mu', ['MU'], options)
    bench.sender = await bench.net.spawn(bench.mu, 'puppet', { name: `sender${suffix}` })
    bench.target = await bench.net.spawn(bench.mu, 'recorder', { name: `target${suffix}` })
  }
  bench.send = async outbox => {
    const message = await aMessage(bench.sender, { data: JSON.stringify(outbox) })
    await bench.mu.messenger.submit(message.raw)
    return bench.progressOf(message)
  }
  bench.progressOf = async (message, mu = bench.mu) => {
    const newest = new Map<string, CrankProgress>()
    const process = message.target as ProcessId
    for await (const job of mu.messenger.follow(process, message.id)) {
      newest.set(`${job.process} ${job.message}`, job)
    }
    return [...newest.values()]
  }
  bench.rowsOf = async process => {
    const rows: DataItem[] = []
    const schedule = bench.su.scheduler.read(process, { from: 1 as Nonce })
    for await (const { message } of schedule) if (message) rows.push(message)
    return rows
  }
  bench.dataOf = async item => (await bench.rowsOf(processIdOf(item))).map(({ data }) => String(data))
  beforeEach(async () => {
    bench.net = new UnitNetwork({ recorder, puppet, endless, volley, doubling })
    bench.su = await bench.net.node('su', ['SU'])
    await bench.net.node('cu', ['CU'])
  })
  afterEach(() => bench.net.stop())
  return bench
}
