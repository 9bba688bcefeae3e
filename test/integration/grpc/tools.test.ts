import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { type Client, credentials, loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath } from 'grpc-health-check'
import { startNode, type TestNode } from './support.ts'

type Answer = Record<string, unknown>
type AnyClient = Client & Record<string, (request: Answer, done: (error: Error | null, answer: Answer) => void) => void>
type Constructor = new (...args: ConstructorParameters<typeof Client>) => AnyClient

const reflectionProto = createRequire(import.meta.url)
  .resolve('@grpc/reflection/package.json')
  .replace('package.json', 'build/proto/grpc/reflection/v1/reflection.proto')

describe('gRPC: for tools of others', () => {
  let node: TestNode
  before(async () => {
    node = await startNode({ units: { compute: undefined } })
  })
  after(() => node.server.stop())

  const clientFor = (file: string, pick: (loaded: Answer) => Answer): AnyClient => {
    const grpc = (loadPackageDefinition(loadSync(file, { enums: String, keepCase: true })) as Answer)['grpc'] as Answer
    const Service = pick(grpc) as unknown as Constructor
    const tls = credentials.createSsl(Buffer.from(node.certificate.certPem), null, null, {
      checkServerIdentity: () => undefined,
    })
    return new Service(`127.0.0.1:${node.server.port}`, tls, { 'grpc.ssl_target_name_override': 'aonet' })
  }

  it('says by the health protocol which of its services are up', async () => {
    const client = clientFor(protoPath, grpc => ((grpc['health'] as Answer)['v1'] as Answer)['Health'] as Answer)
    const ask = (service: string) =>
      new Promise<unknown>((resolve, reject) =>
        client['check']?.({ service }, (error, answer) => (error === null ? resolve(answer['status']) : reject(error))),
      )
    assert.equal(await ask(''), 'SERVING')
    assert.equal(await ask('ao.v1.Scheduler'), 'SERVING')
    assert.equal(await ask('ao.v1.Compute'), 'NOT_SERVING')
    client.close()
  })

  it('describes its services by reflection', async () => {
    const client = clientFor(
      reflectionProto,
      grpc => ((grpc['reflection'] as Answer)['v1'] as Answer)['ServerReflection'] as Answer,
    )
    const call = (
      client['serverReflectionInfo'] as unknown as () => NodeJS.ReadWriteStream & AsyncIterable<Answer>
    ).call(client)
    call.write({ list_services: '' } as unknown as string)
    call.end()
    const names: string[] = []
    for await (const answer of call as AsyncIterable<Answer>) {
      const list = (answer as { list_services_response: { service: { name: string }[] } }).list_services_response
      names.push(...list.service.map(({ name }) => name))
    }
    for (const name of ['Scheduler', 'Compute', 'Messenger', 'Node']) assert.ok(names.includes(`ao.v1.${name}`), name)
    client.close()
  })
})
