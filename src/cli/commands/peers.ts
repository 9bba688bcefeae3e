import { Command } from 'commander'
import { formatTable } from '../../testnet/table.ts'
import { type AdminOptions, askAdmin } from '../admin.ts'
import { type OutputOptions, printResult } from '../output.ts'

interface PeerRow {
  readonly peer: string
  readonly address: string | null
  readonly roles: readonly string[]
  readonly state: string
  readonly latencyMs: number | null
  readonly load: number | null
  readonly score: number | null
  readonly invalidGossip: number
  readonly brokenPromises: number
  readonly failedCalls: number
  readonly lastFailure: string | null
  readonly points: number
  readonly offences: Readonly<Record<string, number>>
  readonly bannedUntil: number
}

const dataDirOption = ['--data-dir <directory>', 'data directory of the node, or the name of a testnet node'] as const

export const peersCommand = (): Command =>
  new Command('peers')
    .description('Whom a node on this machine knows: roles, latency, scores, and who is banned and why.')
    .option(...dataDirOption)
    .option('--testnet <directory>', 'directory of the testnet to look for')
    .option('--unban <peer>', 'forgive a peer what it did')
    .addHelpText('after', '\nExample:\n  aonet peers --data-dir su-1')
    .action(async (options: AdminOptions & OutputOptions & { readonly unban?: string }) => {
      if (options.unban !== undefined) {
        const outcome = await askAdmin(options, 'unban', { peer: options.unban })
        return printResult(`${options.unban} is forgiven.`, outcome, options)
      }
      const rows = (await askAdmin(options, 'peers')) as unknown as readonly PeerRow[]
      return printResult(peersTable(rows), rows, options)
    })

export const logsCommand = (): Command =>
  new Command('logs').description('The log of a running node on this machine.').addCommand(
    new Command('level')
      .description('Log more or less from now on, until the node is started again.')
      .argument('<level>', 'error, warn, info or debug')
      .option(...dataDirOption)
      .option('--testnet <directory>', 'directory of the testnet to look for')
      .action(async (level: string, options: AdminOptions & OutputOptions) => {
        const outcome = await askAdmin(options, 'logs/level', { level })
        printResult(`The node logs from ${level} on.`, outcome, options)
      }),
  )

function peersTable(rows: readonly PeerRow[]): string {
  const now = Date.now()
  return formatTable(
    ['PEER', 'UNIT', 'ROLES', 'STATE', 'MS', 'LOAD %', 'SCORE', 'POINTS', 'WHY'],
    rows.map(row => [
      row.peer,
      row.address ?? '-',
      row.roles.join('+') || '-',
      row.bannedUntil > now ? `banned ${Math.ceil((row.bannedUntil - now) / 1000)} s` : row.state,
      row.latencyMs ?? '-',
      row.load ?? '-',
      row.score ?? '-',
      row.points,
      whyOf(row) || '-',
    ]),
  )
}

const whyOf = ({ offences, invalidGossip, brokenPromises, failedCalls, lastFailure }: PeerRow): string =>
  [
    ...Object.entries(offences).map(([reason, count]) => `${reason} ×${count}`),
    ...(invalidGossip > 0 ? [`bad gossip ${invalidGossip}`] : []),
    ...(brokenPromises > 0 ? [`broken promises ${brokenPromises}`] : []),
    ...(failedCalls > 0 ? [`${failedCalls} failed calls: ${lastFailure ?? 'no reason known'}`] : []),
  ].join(', ')
