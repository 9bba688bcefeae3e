import type { Evidence } from '../protocol/evidence.ts'
import { OriginMail } from '../units/economy/origin-mail.ts'
import { Watcher } from '../units/watcher/watcher.ts'
import { sharedOf, type WireBase } from './wire-base.ts'
import { accuser, anchorWatch, oracleFeed, respondent, successor } from './wire-economy.ts'
import type { WiredNetwork } from './wire-network.ts'
import type { WiredRoles } from './wire-roles.ts'
import { evidenceDesk } from './wire-units.ts'

export type WiredCourt = ReturnType<typeof wireCourt>

/** What watches others, proves their faults, answers for this node and carries on for those who were found guilty. */
export function wireCourt(base: WireBase, { gossip, directory, remote, economy }: WiredNetwork, roles: WiredRoles) {
  const { options, telemetry } = base
  const shared = sharedOf(base)
  const { scheduler, messenger, compute, units, routes, kept, assignments, intake, submitter } = roles
  const mail = new OriginMail({ ...shared, messenger: units.messenger })
  const desk = evidenceDesk({ ...shared, mail }, { economy, options })
  const watcher = new Watcher({
    ...{ gossip, directory, telemetry },
    onEvidence: evidence => onEvidence(evidence),
    onAssignment: assignment => {
      for (const unit of [compute, scheduler, intake, submitter, plaintiff, anchors]) unit?.onAssignment(assignment)
    },
  })
  const asking = { ...shared, routes, mail, scheduler: units.scheduler }
  const plaintiff = accuser(asking, { economy, options })
  const onEvidence = (evidence: Evidence): void => void desk.file(evidence)
  const anchors = anchorWatch({ ...shared, gossip, mail, onEvidence }, { economy, options })
  const answers = respondent({ ...asking, log: assignments }, { economy, scheduler, messenger, options })
  const reporter = oracleFeed({ ...shared, mail }, { economy, options })
  const heir = successor(
    {
      ...{ ...shared, directory, remote, routes, mail, kept },
      recall: (of, limit) => watcher.recall(of, limit),
    },
    { economy, scheduler, options },
  )
  return { desk, watcher, plaintiff, anchors, answers, reporter, heir }
}
