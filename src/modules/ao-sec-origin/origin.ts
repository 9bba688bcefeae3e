import { genesis } from '../../economy/genesis.ts'
import type { EconomyState } from '../../economy/state.ts'
import { AoError } from '../../lib/errors.ts'
import { canonicalJson } from '../../lib/json.ts'
import type { EconomyParams } from '../../protocol/economy-params.ts'
import { type Action, Call } from './action.ts'
import { faultActions } from './fault-actions.ts'
import { type OriginEnvironment, type OriginMessage, toRequest } from './message.ts'
import { type OriginResult, Outbox } from './outbox.ts'
import { queryActions } from './query-actions.ts'
import { stakeActions } from './stake-actions.ts'
import { tokenActions } from './token-actions.ts'

const actions: ReadonlyMap<string, Action> = new Map(
  Object.entries({ ...tokenActions, ...stakeActions, ...faultActions, ...queryActions }),
)

/**
 * AO-Sec Origin: the token and the stakes in one Process. Its first message is the Process item, whose Data are the
 * economy's parameters; each later one is an action. The same class runs in QuickJS on CUs and natively in every node.
 */
export class Origin {
  #state: EconomyState | undefined

  /** @param state to go on from; without one, the first message makes it. */
  constructor(state?: EconomyState) {
    this.#state = state
  }

  get state(): EconomyState | undefined {
    return this.#state
  }

  /**
   * A refused action answers `<Action>-Error` and changes nothing.
   *
   * @throws AoError `INVALID_CONFIG` if the parameters of the first message cannot be.
   */
  handle(message: OriginMessage, environment: OriginEnvironment): OriginResult {
    const out = new Outbox(message.Id)
    if (this.#state === undefined) {
      this.#state = genesis(parseParams(message.Data ?? ''))
      return out.result()
    }
    try {
      const request = toRequest(message, environment)
      const act = actions.get(request.action)
      if (act === undefined)
        throw new AoError('INVALID_ARGUMENT', 'there is no such action', { action: request.action.slice(0, 64) })
      const { state } = this
      if (state !== undefined) state.journal.transact(() => act(new Call(state, request, out)))
      return out.result()
    } catch (error) {
      if (!(error instanceof AoError)) throw error
      return refusal(message, error)
    }
  }
}

/** Of a refusal's facts as JSON: the tags of an item have an end. */
const maxFactsCharacters = 1024

function refusal({ Id, From, Tags }: OriginMessage, error: AoError): OriginResult {
  const action = Tags.find(({ name }) => name === 'Action')?.value ?? 'Message'
  const out = new Outbox(Id)
  const facts = canonicalJson(error.facts)
  const fields = {
    ...{ 'Message-Id': Id, Error: error.message, Code: error.code, Hint: error.hint },
    Facts: facts === '{}' || facts.length > maxFactsCharacters ? undefined : facts,
  }
  out.send(From, `${action.slice(0, 64)}-Error`, fields, { data: error.message })
  out.output = `${error.code}: ${error.message}`
  return out.result()
}

function parseParams(text: string): EconomyParams {
  try {
    return JSON.parse(text) as EconomyParams
  } catch {
    throw new AoError(
      'INVALID_CONFIG',
      'the Process item of AO-Sec Origin has no parameters of the economy as its Data',
    )
  }
}
