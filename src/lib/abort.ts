import { setMaxListeners } from 'node:events'
import { AoError } from './errors.ts'

/** Cancels the wait, never the effect: a durable step is finished or not begun. */
export interface AbortOptions {
  signal?: AbortSignal | undefined
}

/** Joins a caller's signal with a time limit, in milliseconds. */
export function withDeadline(ms: number, { signal }: AbortOptions = {}): AbortSignal {
  const limit = AbortSignal.timeout(ms)
  return signal === undefined ? limit : AbortSignal.any([signal, limit])
}

/** A controller that also fires as a caller's signal does, until it is released: then nothing of it is left at the signal. */
export function following(signal: AbortSignal | undefined): { readonly own: AbortController; release(): void } {
  const own = new AbortController()
  const onAbort = (): void => own.abort(signal?.reason)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  return { own, release: () => signal?.removeEventListener('abort', onAbort) }
}

/** Options whose signal is made when it is first looked at, spread or taken out: a signal costs more than a short answer. */
export interface LateSignal {
  readonly options: { readonly signal: AbortSignal }
  abort(reason: unknown): void
}

export function lateSignal(): LateSignal {
  let made: AbortController | undefined
  let fired: { readonly reason: unknown } | undefined
  const make = (): AbortController => {
    made = new AbortController()
    setMaxListeners(0, made.signal) // whoever works for the one who asked may listen
    if (fired !== undefined) made.abort(fired.reason)
    return made
  }
  return {
    options: {
      get signal() {
        return (made ?? make()).signal
      },
    },
    abort: reason => {
      fired ??= { reason }
      made?.abort(fired.reason)
    },
  }
}

/**
 * Does work under a signal that fires as the caller's does, or with `DEADLINE` after `ms` milliseconds. As `withDeadline`,
 * for what is often done: nothing of it is left behind for the garbage collector.
 */
export async function underDeadline<T>(
  ms: number,
  { signal }: AbortOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { own, release } = following(signal)
  const late = setTimeout(() => own.abort(new AoError('DEADLINE', 'the deadline passed', { ms })), ms)
  try {
    return await work(own.signal)
  } finally {
    clearTimeout(late)
    release()
  }
}

/** Waits for `promise` or for the signal, whichever comes first. The work behind the promise goes on. */
export async function raceSignal<T>(promise: Promise<T>, { signal }: AbortOptions = {}): Promise<T> {
  if (signal === undefined) return promise
  throwIfAborted(signal)
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(AoError.from(signal.reason))
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** As `raceSignal`, and rejects with `DEADLINE` after `ms` milliseconds. For what is often waited for: it makes no signal. */
export async function raceWithin<T>(promise: Promise<T>, ms: number, { signal }: AbortOptions = {}): Promise<T> {
  throwIfAborted(signal)
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(AoError.from(signal?.reason))
    const late = setTimeout(() => reject(new AoError('DEADLINE', 'the deadline passed', { ms })), ms)
    signal?.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      clearTimeout(late)
      signal?.removeEventListener('abort', onAbort)
    })
  })
}

/** Resolves after `ms` milliseconds, or rejects with `ABORTED` or `DEADLINE` when the signal fires. */
export function sleep(ms: number, { signal }: AbortOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(AoError.from(signal.reason))
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(AoError.from(signal?.reason))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** @throws AoError `ABORTED` or `DEADLINE` if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw AoError.from(signal.reason)
}
