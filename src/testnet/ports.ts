import { createServer } from 'node:net'

/** Ports that nobody listens on now, all different. Those of `wanted` that are still free are kept. */
export async function freePorts(count: number, wanted: readonly number[] = []): Promise<readonly number[]> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) {
    const keep = wanted[i]
    ports.push(keep !== undefined && !ports.includes(keep) && (await isFree(keep)) ? keep : await anyFree(ports))
  }
  return ports
}

async function anyFree(taken: readonly number[]): Promise<number> {
  for (;;) {
    const port = await listenOnce(0)
    if (port !== undefined && !taken.includes(port)) return port
  }
}

const isFree = async (port: number): Promise<boolean> => (await listenOnce(port)) !== undefined

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined))
    })
  })
}
