import {
  type Assignment,
  type AssignmentPlan,
  draftAssignment,
  type Link,
  linkPlan,
  signedAssignment,
} from './assignment.ts'
import type { DataItem, Draft } from './data-item.ts'

/** Places of one Process that follow each other, and the Assignment before the first of them (none at nonce 0). */
export interface Run {
  readonly previous: Link | undefined
  readonly plans: readonly AssignmentPlan[]
}

/**
 * Signs a run in its order, for each link needs the Assignment before. After a failure nothing more is signed.
 *
 * @param onSigned told of each at once: those before a failure stand.
 */
export async function signRun(
  { previous, plans }: Run,
  sign: (draft: Draft) => DataItem | Promise<DataItem>,
  onSigned?: (assignment: Assignment) => void,
): Promise<readonly Assignment[]> {
  const signed: Assignment[] = []
  for (const plan of plans) {
    const fields = linkPlan(plan, signed.at(-1) ?? previous)
    const assignment = signedAssignment(fields, await sign(draftAssignment(fields)))
    signed.push(assignment)
    onSigned?.(assignment)
  }
  return signed
}
