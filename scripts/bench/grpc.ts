// What our gRPC server adds to grpc-js: the same client calls a bare grpc-js server and ours, over TLS, in turns, with
// 2 KB messages. Both servers run in a process of their own and answer with the same prepared bytes.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client, Metadata, type MethodDefinition } from '@grpc/grpc-js'
import { MessengerService, type SubmitStreamResponse } from '../../src/network/grpc/generated/ao/v1/messenger.ts'
import { pinnedCredentials } from '../../src/network/grpc/pinned-credentials.ts'
import type { BenchLine } from './main.ts'
import { median } from './support/measure.ts'

const item = new Uint8Array(2_048).fill(7)
const rounds = 7
const unaryCalls = 1_500
const streamMessages = 6_000
const inFlight = 64

export default async function* grpc(): AsyncIterable<BenchLine> {
  const ours = await Door.open('ours')
  const raw = await Door.open('raw')
  try {
    for (const [name, run] of [
      ['unary, 64 in flight', unary],
      ['bidirectional stream', streamed],
    ] as const) {
      await run(ours.client)
      await run(raw.client)
      const pairs: { ours: number; raw: number }[] = []
      for (let i = 0; i < rounds; i++) pairs.push({ ours: await run(ours.client), raw: await run(raw.client) })
      yield {
        case: name,
        perSecond: Math.round(median(pairs.map(pair => pair.ours))),
        rawPerSecond: Math.round(median(pairs.map(pair => pair.raw))),
        ratioToRaw: Number(median(pairs.map(pair => pair.ours / pair.raw)).toFixed(2)),
      }
    }
  } finally {
    await Promise.all([ours.close(), raw.close()])
  }
}

/** Calls a second. */
async function unary(client: Client): Promise<number> {
  const began = performance.now()
  let left = unaryCalls
  const one = async (): Promise<void> => {
    while (left-- > 0) await call(client, MessengerService.submit, { item })
  }
  await Promise.all(Array.from({ length: inFlight }, one))
  return (unaryCalls * 1000) / (performance.now() - began)
}

const call = <Q, A>(client: Client, method: MethodDefinition<Q, A>, request: Q): Promise<void> =>
  new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, new Metadata(), {}, error =>
      error === null ? resolve() : reject(error),
    )
  })

/** Messages a second. */
async function streamed(client: Client): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = MessengerService.submitStream
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  const began = performance.now()
  let answered = 0
  const done = new Promise<void>((resolve, reject) => {
    stream.on('data', ({ outcome }: SubmitStreamResponse) => {
      if (outcome?.$case !== 'assignment') reject(new Error('not answered with an Assignment'))
      if (++answered === streamMessages) resolve()
    })
    stream.on('error', reject)
  })
  for (let tag = 1; tag <= streamMessages; tag++) {
    if (!stream.write({ tag, item, more: [], takesMore: false })) await once(stream, 'drain')
  }
  await done
  const perSecond = (streamMessages * 1000) / (performance.now() - began)
  stream.end()
  await once(stream, 'status')
  return perSecond
}

class Door {
  readonly client: Client
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, client: Client) {
    this.#child = child
    this.client = client
  }

  static async open(kind: 'ours' | 'raw'): Promise<Door> {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const child = fork(fileURLToPath(new URL(`./support/grpc-door.${ending}`, import.meta.url)), [kind], {
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    const [{ port, certificate }] = (await once(child, 'message')) as [{ port: number; certificate: string }]
    const client = new Client(`dns:127.0.0.1:${port}`, pinnedCredentials(Buffer.from(certificate, 'base64')), {
      'grpc.ssl_target_name_override': 'aonet',
    })
    return new Door(child, client)
  }

  async close(): Promise<void> {
    this.client.close()
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }
}
