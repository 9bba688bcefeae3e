import { applyEvent, type EconomyEvent, type Happening } from '../../economy/events.ts'
import { formatAo } from '../../economy/quantity.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { Request } from './message.ts'
import type { Outbox } from './outbox.ts'

/** One action of the message standard. Throws an AoError to refuse: then nothing has happened. */
export type Action = (call: Call) => void

/** A request at work: the state it meets and where its answers go. */
export class Call {
  readonly state: EconomyState
  readonly request: Request
  readonly out: Outbox

  constructor(state: EconomyState, request: Request, out: Outbox) {
    this.state = state
    this.request = request
    this.out = out
  }

  /** Applies an event, tells those concerned what else came due, and gives what the event itself brought. */
  apply(event: EconomyEvent): Readonly<Record<string, string>> {
    let value: Readonly<Record<string, string>> = {}
    for (const happening of applyEvent(this.state, this.request.at, event)) {
      if (happening.type === 'done') value = happening.value
      else tell(this, happening)
    }
    return value
  }

  reply(action: string, fields: Readonly<Record<string, string | undefined>>, data = ''): void {
    this.out.send(this.request.from, action, fields, { data })
  }
}

function tell({ state, request, out }: Call, happening: Exclude<Happening, { type: 'done' }>): void {
  switch (happening.type) {
    case 'slashed': {
      const { role, operator, slashed, reporter, toReporter, toFund, burned } = happening.split
      const fields = {
        Role: role,
        Operator: operator,
        Quantity: String(slashed),
        Reporter: reporter,
        'Reporter-Reward': String(toReporter),
        Insurance: String(toFund),
        Burned: String(burned),
      }
      const owner = state.operators.get(`${role} ${operator}`)?.owner
      const data = `${role} ${operator} lost ${formatAo(slashed)} AO`
      for (const target of new Set([operator, owner ?? operator, reporter]))
        out.send(target, 'Slash-Notice', fields, { data })
      return
    }
    case 'convicted': {
      const { role, operator, kind } = happening
      out.send(operator, 'Conviction-Notice', { Role: role, Operator: operator, Kind: kind })
      return
    }
    case 'acquitted':
      out.send(happening.reporter, 'Evidence-Error', { Error: 'the evidence proves nothing; the bond is lost' })
      return
    case 'hosted': {
      const { process, scheduler, epoch } = happening
      out.send(scheduler, 'Host-Notice', { Process: process, Scheduler: scheduler, Epoch: String(epoch) })
      return
    }
    case 'answered':
      out.send(happening.challenger, 'Response-Notice', { Challenge: happening.id })
      return
    case 'unhosted':
      out.send(request.from, 'Unhost-Notice', { Process: happening.process })
  }
}
