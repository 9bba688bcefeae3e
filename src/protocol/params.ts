import { sha256, toBase64Url, utf8 } from '../lib/bytes.ts'
import { canonicalJson } from '../lib/json.ts'

/**
 * What every node of a network must agree on. Peers whose parameters hash differently are refused.
 * Local options (ports, paths, limits of politeness) are not here: they may make a node slower, never answer differently.
 */
export interface NetworkParams {
  /** Name of the network, lower case. */
  readonly network: string
  /** Version of the wire between units. */
  readonly protocol: number
  /** Which gas and determinism rules modules run under. */
  readonly meter: string
  /** Gas per message where neither Process nor Module asks for less. */
  readonly maxGas: number
  /** Bytes of memory of one Process at the most. */
  readonly maxMemoryBytes: number
  /** AO-Sec Origin: its Process item holds the rules of the economy. Absent in a network without one. */
  readonly origin?: string | undefined
}

export const testnetParams: NetworkParams = {
  network: 'testnet',
  protocol: 1,
  meter: 'gas-1',
  maxGas: 100_000_000_000,
  maxMemoryBytes: 512 * 1024 * 1024,
}

/** 43 base64url characters. */
export const paramsHash = (params: NetworkParams): string => toBase64Url(sha256(utf8(canonicalJson(params))))
