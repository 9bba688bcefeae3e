import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { AoError, isErrorCode } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import { adminSocketPath } from '../node/admin.ts'
import { settings } from '../node/settings.ts'
import { runningTestnet } from '../testnet/layout.ts'

export interface AdminOptions {
  /** Data directory of the node, or the name of a node of the testnet that runs here. */
  readonly dataDir?: string | undefined
  readonly testnet?: string | undefined
}

/** Asks a node on this machine through its admin socket. @throws AoError as the node, `PEER_UNREACHABLE` if none runs. */
export function askAdmin(
  options: AdminOptions,
  path: string,
  body: { readonly [key: string]: Json } = {},
): Promise<Json> {
  const dataDir = directoryOf(options)
  const socketPath = adminSocketPath(dataDir)
  const gone = (cause?: unknown): AoError => {
    const hint = 'Start it, or name another: its data directory, or its name in the testnet that runs here.'
    return new AoError('PEER_UNREACHABLE', 'no node runs on this data directory', { dataDir }, { cause, hint })
  }
  if (!existsSync(socketPath)) return Promise.reject(gone())
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path: `/${path}`, method: 'POST', timeout: 10_000 }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        const value = JSON.parse(text) as Json
        if (response.statusCode === 200) resolve(value)
        else reject(told(value as unknown as Told))
      })
    })
    asking.on('timeout', () => asking.destroy(new Error('no answer in time')))
    asking.on('error', cause => reject(gone(cause)))
    asking.end(JSON.stringify(body))
  })
}

function directoryOf({ dataDir, testnet }: AdminOptions): string {
  const running = runningTestnet(testnet)
  const named =
    running?.nodes.find(({ name }) => name === dataDir) ?? (dataDir === undefined ? running?.nodes[0] : undefined)
  return named?.directory ?? dataDir ?? settings.dataDir.initial
}

interface Told {
  readonly code: string
  readonly error: string
  readonly facts: Record<string, string | number | boolean>
  readonly hint?: string
}

const told = ({ code, error, facts, hint }: Told): AoError =>
  new AoError(isErrorCode(code) ? code : 'INTERNAL', error, facts, { hint })
