import { z } from 'zod'
import { toUtf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { DryRunMessage } from '../ports/units.ts'

export interface DryRunBody {
  readonly message: DryRunMessage
  /** The Process that the message names. */
  readonly target: string | undefined
}

/** The JSON that clients post for a dry-run. Fields of other names are passed on as they are. @throws AoError `INVALID_ARGUMENT` */
export function parseDryRun(bytes: Uint8Array): DryRunBody {
  const parsed = schema.safeParse(jsonOf(bytes))
  if (!parsed.success) {
    const { path = [], message = '' } = parsed.error.issues[0] ?? {}
    const where = path.join('.')
    throw invalid(`${where === '' ? 'the body' : where} is not as it should be: ${message}`, { field: where })
  }
  const { Id, Owner, From, Anchor, Tags, Data, Target, ...fields } = parsed.data
  if (Object.keys(fields).length > maxFields) throw invalid('the body has too many fields', { limit: maxFields })
  const message = { owner: Owner, from: From, id: Id, anchor: Anchor, tags: Tags, data: Data }
  return { message: { ...message, fields: fields as { readonly [name: string]: Json } }, target: Target }
}

const text = z.string().max(256)
/** Clients pass numbers where text belongs. */
const words = z.union([z.string(), z.number(), z.boolean()]).transform(String)
/** `null` is as good as absent, for JSON has no other way to say it. */
const optional = <T extends z.ZodType>(type: T) => type.nullish().transform(value => value ?? undefined)
/** Of no message that is known here. */
const maxFields = 64

const schema = z.looseObject({
  Id: optional(text),
  Owner: optional(text).transform(owner => owner ?? anybody),
  From: optional(text),
  Target: optional(text),
  Anchor: optional(words),
  Tags: optional(z.array(z.object({ name: words, value: words })).max(1000)).transform(tags => tags ?? []),
  Data: optional(words).transform(data => data ?? ''),
})

/** What aoconnect writes where its caller names no owner. */
const anybody = '1234'

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(toUtf8(bytes))
  } catch {
    throw invalid('the body is not JSON', { bytes: bytes.length })
  }
}

const invalid = (message: string, facts: Record<string, string | number>): AoError =>
  new AoError('INVALID_ARGUMENT', message, facts, {
    hint: 'Post {"Owner","Target","Tags":[{"name","value"}],"Data"} as JSON.',
  })
