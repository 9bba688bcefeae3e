import { createServer } from 'node:net'
import { AoError } from '../lib/errors.ts'

/**
 * Ports of an address of this machine that nobody listens on now, all different. Those of `wanted` that are still free are
 * kept.
 * @throws AoError `INVALID_ARGUMENT` if the address is not of this machine.
 */
export async function freePorts(
  count: number,
  { host = '127.0.0.1', wanted = [] }: { readonly host?: string; readonly wanted?: readonly number[] } = {},
): Promise<readonly number[]> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) {
    const keep = wanted[i]
    ports.push(
      keep !== undefined && !ports.includes(keep) && (await isFree(host, keep)) ? keep : await anyFree(host, ports),
    )
  }
  return ports
}

async function anyFree(host: string, taken: readonly number[]): Promise<number> {
  for (;;) {
    const port = await listenOnce(host, 0)
    if (port !== undefined && !taken.includes(port)) return port
  }
}

const isFree = async (host: string, port: number): Promise<boolean> => (await listenOnce(host, port)) !== undefined

function listenOnce(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EADDRINUSE' || code === 'EACCES') return resolve(undefined)
      const hint = 'Name an address of this machine, or 0.0.0.0 for its first one that is not the loopback.'
      reject(new AoError('INVALID_ARGUMENT', `this machine cannot listen on ${host}`, { host, code }, { hint }))
    })
    server.listen({ host, port }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined))
    })
  })
}
