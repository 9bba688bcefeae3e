import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../arweave/gateway-client.ts'
import { randomAnchor } from '../client/client.ts'
import { utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { silentTelemetry } from '../lib/telemetry.ts'
import { originBundleFile, originFormat } from '../modules/ao-sec-origin/module.ts'
import { connectNode } from '../network/grpc/connect.ts'
import { createKey } from '../node/keys.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'
import { checkEconomyParams, type EconomyParams, testnetEconomy } from '../protocol/economy-params.ts'
import type { Id, ProcessId } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { type Tag, tagsOf } from '../protocol/tags.ts'
import type { TestnetNode, TestnetOrigin, TestnetState } from './layout.ts'

const itemsIn = (directory: string) => ({
  module: join(directory, 'origin', 'module.item'),
  process: join(directory, 'origin', 'process.item'),
})

/**
 * Signs module and Process before any node runs, so that their ids can stand in the nodes' configuration. A testnet that
 * was here before keeps its own.
 */
export async function planOrigin(directory: string, nodes: readonly TestnetNode[]): Promise<TestnetOrigin | undefined> {
  const files = itemsIn(directory)
  const faucet = join(directory, 'origin', 'faucet.json')
  if (!existsSync(files.process)) {
    if (!existsSync(originBundleFile)) return undefined
    mkdirSync(join(directory, 'origin'), { recursive: true })
    const { signer } = createKey(faucet, 'ed25519')
    const module = await signModule(signer)
    const process = await signProcess(signer, module.id, nodes)
    writeFileSync(files.module, module.raw)
    writeFileSync(files.process, process.raw)
  }
  return { process: parseStoredItem(readFileSync(files.process)).id as Id as ProcessId, faucet }
}

/** Puts the module on Arweave, has the Process ordered, and mints what its years have earned. Twice is harmless. */
export async function deployOrigin(directory: string, state: TestnetState, entry: string): Promise<void> {
  const [module, process] = [itemsIn(directory).module, itemsIn(directory).process].map(file =>
    parseStoredItem(readFileSync(file)),
  )
  if (module === undefined || process === undefined || state.origin === undefined) return
  const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: state.arweave.url })
  await arweave.upload(module)
  const node = await connectNode(entry, {})
  try {
    const { nonce } = await node.units.messenger.submit(process.raw)
    if (nonce !== 0)
      throw new AoError('INVALID_ASSIGNMENT', 'the Process of AO-Sec Origin is not its first message', { nonce })
    const tail = await node.units.scheduler.assignment(state.origin.process, 'newest')
    if (tail.nonce > 0) return
    const { signer } = createKey(state.origin.faucet, 'ed25519')
    const send = async (...tags: readonly (readonly [string, string])[]): Promise<void> => {
      const draft = { target: state.origin?.process, anchor: randomAnchor(), data: utf8(' ') }
      const item = await signer.sign({ ...draft, tags: [...ao('Message'), ...tagsOf(...tags)] })
      await node.units.messenger.submit(item.raw)
    }
    for (let i = 0; i < mintsOf(Date.now()); i++) await send(['Action', 'Mint'])
    // Each node can pay the bond of what it reports.
    for (const { address } of state.nodes)
      await send(['Action', 'Transfer'], ['Recipient', address], ['Quantity', pocketMoney])
  } finally {
    await node.close()
  }
}

/** 50 AO. */
const pocketMoney = '50000000000000'

/** Messages that it takes to mint all cycles since the genesis. */
function mintsOf(now: number): number {
  const { genesisMs, cycleMs, maxCyclesPerMint } = testnetEconomy.emission
  return Math.ceil((now - genesisMs) / cycleMs / maxCyclesPerMint)
}

/** An asset that the embedded Arweave plays the bridge of. */
const bridgedAsset = 'stETH'

/**
 * At first the faucet holds all there is, so all that was minted before is there to give away. From then on the nodes
 * report what the embedded Arweave has.
 */
const paramsFor = (faucet: string, nodes: readonly TestnetNode[]): EconomyParams =>
  checkEconomyParams({
    ...testnetEconomy,
    holdings: [
      { resource: 'AR', class: 'ar', weight: '1', holder: faucet, quantity: '1' },
      { resource: bridgedAsset, class: 'bridge', weight: '1', holder: faucet, quantity: '1' },
    ],
    oracle: { ...testnetEconomy.oracle, reporters: nodes.map(({ address }) => address) },
  })

const ao = (type: string): readonly Tag[] => tagsOf(['Data-Protocol', 'ao'], ['Variant', 'ao.TN.1'], ['Type', type])

const signModule = (signer: Signer): Promise<DataItem> =>
  signer.sign({
    anchor: randomAnchor(),
    data: readFileSync(originBundleFile),
    tags: [
      ...ao('Module'),
      ...tagsOf(
        ['Module-Format', originFormat],
        ['Input-Encoding', 'JSON-1'],
        ['Output-Encoding', 'JSON-1'],
        ['Memory-Limit', '256-mb'],
        ['Compute-Limit', '90000000000'],
        ['Content-Type', 'text/javascript'],
        ['Name', 'ao-sec-origin'],
      ),
    ],
  })

function signProcess(signer: Signer, module: Id, nodes: readonly TestnetNode[]): Promise<DataItem> {
  const [first, ...others] = nodes.filter(({ roles }) => roles.includes('SU')).map(({ address }) => address)
  const authorities = nodes.filter(({ roles }) => roles.includes('MU')).map(({ address }) => address)
  return signer.sign({
    anchor: randomAnchor(),
    data: utf8(JSON.stringify(paramsFor(signer.address, nodes))),
    tags: [
      ...ao('Process'),
      ...tagsOf(['Module', module], ['Scheduler', first], ['Name', 'AO-Sec Origin']),
      ...others.map((value): Tag => ({ name: 'Fallback-Scheduler', value })),
      ...authorities.map((value): Tag => ({ name: 'Authority', value })),
    ],
  })
}
