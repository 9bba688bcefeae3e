import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AbortOptions } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import { type Id, parseId, parseNonce } from '../protocol/ids.ts'

/** The value of a query parameter; undefined without it. @throws AoError `INVALID_ARGUMENT` if it is given twice. */
export function param({ query }: FastifyRequest, name: string): string | undefined {
  const value = (query as Readonly<Record<string, unknown>>)[name]
  if (value === undefined || typeof value === 'string') return value
  throw new AoError('INVALID_ARGUMENT', `the parameter ${name} is given more than once`, { parameter: name })
}

/** @throws AoError `INVALID_ARGUMENT` unless it is an id or absent. */
export function idParam<T extends Id = Id>(request: FastifyRequest, name: string): T | undefined {
  const value = param(request, name)
  return value === undefined ? undefined : parseId<T>(value, name)
}

/** @throws AoError `INVALID_ARGUMENT` */
export function requiredId<T extends Id = Id>(request: FastifyRequest, name: string): T {
  const id = idParam<T>(request, name)
  if (id !== undefined) return id
  throw new AoError(
    'INVALID_ARGUMENT',
    `the parameter ${name} is missing`,
    { parameter: name },
    { hint: `Add ?${name}=… to the address.` },
  )
}

/** A whole number from 0; undefined without it. @throws AoError `INVALID_ARGUMENT` */
export function numberParam(request: FastifyRequest, name: string): number | undefined {
  const value = param(request, name)
  return value === undefined || value === '' ? undefined : parseNonce(value, name)
}

/** How many rows a page may have: what is asked for, from 1 to `max`. @throws AoError `INVALID_ARGUMENT` */
export function limitParam(request: FastifyRequest, { initial, max }: { initial: number; max: number }): number {
  const asked = numberParam(request, 'limit') ?? initial
  if (asked >= 1) return Math.min(asked, max)
  throw new AoError('INVALID_ARGUMENT', 'a page has at least one row', { limit: asked })
}

/** A part of the path that is an id. @throws AoError `INVALID_ARGUMENT` */
export const pathId = <T extends Id = Id>({ params }: FastifyRequest, name = 'id'): T =>
  parseId<T>((params as Readonly<Record<string, unknown>>)[name], name)

/** The body as it came; empty without one. */
export const bodyOf = ({ body }: FastifyRequest): Uint8Array => (body instanceof Uint8Array ? body : new Uint8Array(0))

/** Fires when the caller has gone, or after `ms`. */
export function whileWaiting({ raw }: FastifyReply, ms: number): AbortOptions {
  // One controller and one timer: signals that are joined, or abort for nobody, are what a request costs most.
  const gone = new AbortController()
  const late = setTimeout(() => gone.abort(new AoError('DEADLINE', 'the answer took too long', { ms })), ms)
  raw.once('close', () => {
    clearTimeout(late)
    if (!raw.writableFinished) gone.abort()
  })
  return { signal: gone.signal }
}
