import { AoError } from '../lib/errors.ts'
import { type UnitRole, unitRoles } from '../protocol/unit-record.ts'

/** A node of a testnet, before it has keys and ports. */
export interface PlannedNode {
  readonly name: string
  readonly roles: readonly UnitRole[]
}

const rolesOf = { su: ['SU'], cu: ['CU'], mu: ['MU'], all: ['MU', 'SU', 'CU'] } as const satisfies Record<
  string,
  readonly UnitRole[]
>
type Kind = keyof typeof rolesOf

/** Each is a program of its own, of some 150 MB. */
const maxNodes = 64

export const defaultShape = 'su=1,cu=2,mu=1,all=1'

/**
 * The nodes of a shape such as `su=2,cu=4,mu=1`, in the order they start; a kind that is not named has none. The first
 * node is where the others join.
 * @throws AoError `INVALID_ARGUMENT` if it cannot be read, a role is missing, or there are more than 64.
 */
export function nodesOfShape(shape: string): readonly PlannedNode[] {
  const counts = new Map<Kind, number>()
  for (const part of shape.split(',')) {
    const [, kind, count] = /^(su|cu|mu|all)=(\d{1,3})$/.exec(part.trim()) ?? []
    if (kind === undefined || counts.has(kind as Kind)) throw unreadable(shape, 'it cannot be read')
    counts.set(kind as Kind, Number(count))
  }
  const nodes = (Object.keys(rolesOf) as Kind[]).flatMap(kind =>
    Array.from({ length: counts.get(kind) ?? 0 }, (_, i) => ({ name: `${kind}-${i + 1}`, roles: rolesOf[kind] })),
  )
  const missing = unitRoles.filter(role => !nodes.some(({ roles }) => (roles as readonly UnitRole[]).includes(role)))
  if (missing.length > 0) throw unreadable(shape, `it has no ${missing.join(' and no ')}`)
  if (nodes.length > maxNodes) throw unreadable(shape, `it has more than ${maxNodes} nodes`)
  return nodes
}

export const sameNodes = (a: readonly PlannedNode[], b: readonly PlannedNode[]): boolean =>
  a.length === b.length && a.every(({ name }, i) => name === b[i]?.name)

const unreadable = (shape: string, why: string): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    `the nodes "${shape}" make no network: ${why}`,
    { nodes: shape },
    { hint: `Write how many of each kind, such as ${defaultShape}; "all" has all three roles.` },
  )
