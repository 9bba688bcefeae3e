import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AoError } from '../lib/errors.ts'
import { hostAndPort } from '../lib/reachable-host.ts'
import type { Address, ModuleId, ProcessId } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'

/** One node of a testnet and where it lives. */
export interface TestnetNode {
  readonly name: string
  readonly roles: readonly UnitRole[]
  readonly directory: string
  readonly address: Address
  /** Where others reach it. */
  readonly host: string
  readonly ports: { readonly p2p: number; readonly grpc: number; readonly http: number }
}

/** What `testnet up` writes for the other commands to find. */
export interface TestnetState {
  readonly version: 1
  /** Process id of the running supervisor. */
  readonly supervisor: number
  /** All is started, and AO-Sec Origin is there. */
  readonly isUp?: boolean
  readonly startedAt: number
  readonly arweave: { readonly directory: string; readonly port: number; readonly url: string }
  readonly nodes: readonly TestnetNode[]
  /** JWK file of a wallet to try things with. */
  readonly wallet: string
  readonly modules: Readonly<Record<string, ModuleId>>
  /** AO-Sec Origin and its faucet; none where the module was not built. */
  readonly origin?: TestnetOrigin | undefined
}

/** AO-Sec Origin of a testnet: what every node has to know of it, and who gives tokens away. */
export interface TestnetOrigin {
  readonly process: ProcessId
  /** JWK file of the wallet that earns the emission. */
  readonly faucet: string
}

/** Where a client connects: the gRPC endpoint of a node, with the address it must prove. */
export const endpointOf = ({ address, host, ports }: TestnetNode): string =>
  `${address}@${hostAndPort(host, ports.grpc)}`

export const loopback = '127.0.0.1'

export const defaultTestnetDirectory = join('.aonet', 'testnet')

const stateFile = (directory: string): string => join(directory, 'testnet.json')

/** The state last written, or undefined if there never was a testnet here. */
export function readState(directory: string): TestnetState | undefined {
  const file = stateFile(directory)
  if (!existsSync(file)) return undefined
  try {
    const state = JSON.parse(readFileSync(file, 'utf8')) as TestnetState
    // Before `--host` there was one host.
    if (state.version === 1)
      return { ...state, nodes: state.nodes.map(node => ({ ...node, host: node.host ?? loopback })) }
  } catch (cause) {
    throw unreadable(file, cause)
  }
  throw unreadable(file, undefined)
}

export function writeState(directory: string, state: TestnetState): void {
  const file = stateFile(directory)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`)
  renameSync(`${file}.new`, file) // readers never see half a file
}

/** Notes a published Module, the last one being what `aonet spawn` takes by default. */
export function rememberModule(directory: string, name: string, id: ModuleId): void {
  const state = readState(directory)
  if (state === undefined) return
  const { [name]: _, ...others } = state.modules
  writeState(directory, { ...state, modules: { ...others, [name]: id } })
}

/** The testnet of a directory, if its supervisor is alive. */
export function runningTestnet(directory = defaultTestnetDirectory): TestnetState | undefined {
  const state = readState(directory)
  return state !== undefined && isAlive(state.supervisor) ? state : undefined
}

/** The state of a testnet whose supervisor is alive. @throws AoError `NOT_READY` if none runs here. */
export function runningState(directory: string): TestnetState {
  const state = runningTestnet(directory)
  if (state !== undefined) return state
  throw new AoError(
    'NOT_READY',
    `no testnet is running in ${directory}`,
    { directory },
    { hint: 'Start one with `aonet testnet up`.' },
  )
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const unreadable = (file: string, cause: unknown): AoError =>
  new AoError(
    'STORE_CORRUPT',
    `${file} cannot be read`,
    { file },
    { cause, hint: 'Start afresh with `aonet testnet up --fresh`.' },
  )
