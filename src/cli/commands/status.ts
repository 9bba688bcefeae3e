import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { formatTable } from '../../testnet/table.ts'
import { endpointOf } from '../../testnet/testnet.ts'
import { type ConnectOptions, runningTestnet } from '../connect.ts'
import { type OutputOptions, printResult } from '../output.ts'

export const statusCommand = (): Command =>
  new Command('status')
    .description('What a node says of itself and of the units it knows.')
    .option('--node <endpoint>', 'gRPC endpoint of the node; by default the first of the testnet that runs here')
    .option('--testnet <directory>', 'directory of the testnet to look for')
    .action(async (options: ConnectOptions & OutputOptions) => {
      const [first] = runningTestnet(options)?.nodes ?? []
      const endpoint = options.node ?? process.env['AONET_NODE'] ?? (first && endpointOf(first))
      if (endpoint === undefined) {
        throw new AoError(
          'INVALID_ARGUMENT',
          'no node is named and no testnet is running here',
          {},
          {
            hint: 'Start one with `npm start`, or name a node with --node host:port.',
          },
        )
      }
      const { connectNode } = await import('../../network/grpc/connect.ts')
      const node = await connectNode(endpoint, {})
      try {
        const units = await node.listUnits()
        const facts = Object.entries(node.info.status).map(
          ([name, value]) => `${name.padEnd(12)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
        )
        const table = formatTable(
          ['UNIT', 'ROLES', 'GRPC', 'EXPIRES IN S'],
          units.map(({ address, roles, grpc, expiresAt }) => [
            address,
            roles.join('+'),
            grpc,
            Math.round((expiresAt - Date.now()) / 1000),
          ]),
        )
        const value = {
          ...node.info.status,
          unitRecords: units.map(({ raw: _, certificate: __, ...record }) => record),
        }
        printResult([...facts, '', table].join('\n'), value, options)
      } finally {
        await node.close()
      }
    })
