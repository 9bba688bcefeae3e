import type { At } from '../../economy/events.ts'
import { AoError } from '../../lib/errors.ts'
import { type Address, parseAddress } from '../../protocol/ids.ts'
import { type Tag, tagValue, tagValues } from '../../protocol/tags.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'

/** A message as every AO module gets it: the fields that this one reads. */
export interface OriginMessage {
  readonly Id: string
  readonly From: string
  readonly Owner: string
  readonly Tags: readonly Tag[]
  readonly Data?: string
  readonly Nonce?: number
  readonly 'Forwarded-By'?: string
  readonly 'Block-Height'?: number
  /** Milliseconds. */
  readonly 'Block-Timestamp'?: number
}
export interface OriginEnvironment {
  readonly Process: { readonly Id: string; readonly Tags: readonly Tag[] }
}

/** What an action gets: who asks for what, where on Arweave. */
export interface Request {
  readonly id: string
  /** Who signed, or the Process on whose behalf a trusted MU did. */
  readonly from: string
  readonly action: string
  readonly tags: readonly Tag[]
  readonly data: string
  readonly at: At
  readonly self: string
}

/** @throws AoError `NOT_ALLOWED` for what claims to come from a Process but was signed by nobody this one trusts. */
export function toRequest(message: OriginMessage, { Process }: OriginEnvironment): Request {
  const { From, Owner, Tags } = message
  const authorities = tagValues(Process.Tags, 'Authority').flatMap(value => value.split(','))
  if (From !== Owner && !authorities.some(authority => authority.trim() === Owner)) {
    throw new AoError('NOT_ALLOWED', 'the message claims to come from a Process, and was not pushed by a trusted MU')
  }
  return {
    id: message.Id,
    from: From,
    action: tagValue(Tags, 'Action') ?? '',
    tags: Tags,
    data: message.Data ?? '',
    at: { height: Number(message['Block-Height'] ?? 0), timestamp: Number(message['Block-Timestamp'] ?? 0) },
    self: Process.Id,
  }
}

/** @throws AoError `INVALID_ARGUMENT` naming the tag. */
export function need(request: Request, name: string): string {
  const value = tagValue(request.tags, name)
  if (value !== undefined && value !== '') return value
  throw new AoError('INVALID_ARGUMENT', `the tag ${name} is missing`, { tag: name })
}

export function roleOf(request: Request, name = 'Role'): UnitRole {
  const role = need(request, name)
  if (role === 'SU' || role === 'CU' || role === 'MU') return role
  throw new AoError('INVALID_ARGUMENT', 'Role is SU, CU or MU', { role: role.slice(0, 16) })
}

export const addressOf = (request: Request, name: string): Address => parseAddress(need(request, name), name)

/** A whole number that a tag gives, or undefined. */
export function wholeNumber(request: Request, name: string): number | undefined {
  const value = tagValue(request.tags, name)
  if (value === undefined) return undefined
  if (/^(0|[1-9][0-9]{0,14})$/.test(value)) return Number(value)
  throw new AoError('INVALID_ARGUMENT', `${name} is not a whole number`, { [name]: value.slice(0, 32) })
}
