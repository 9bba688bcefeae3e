import { openSync, readlinkSync, readSync } from 'node:fs'
import { setPriority } from 'node:os'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * A worker thread that runs the module `name` beside the module `from` (its `import.meta.url`): compiled, or as source
 * while developing, when `tsx` has to be told anew in each thread.
 */
export function startThread(name: string, from: string, options: WorkerOptions): Worker {
  if (!from.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, from), options)
  const entry = JSON.stringify(new URL(`./${name}.ts`, from).href)
  const script = `import('tsx/esm/api').then(({ register }) => { register(); return import(${entry}) })`
  return new Worker(script, { ...options, eval: true })
}

/**
 * A third of what an equal thread gets, and all that nobody else wants. Not less: while it holds what all threads of a
 * program share, such as the map of its memory, they wait for it.
 */
const niceness = 5

/** Lets the other threads of this program go first, where the system knows threads apart (Linux). */
export function lowerPriority(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    if (thread > 0) setPriority(thread, niceness)
  } catch {
    // Elsewhere all threads are equal.
  }
}

/**
 * Gives the milliseconds that the calling thread has run so far, where the system counts them (Linux: some ms behind, and
 * 2 µs to ask); elsewhere those that have passed. Only that thread may call it.
 */
export function threadClock(): () => number {
  try {
    const counters = openSync('/proc/thread-self/schedstat', 'r')
    const text = Buffer.alloc(64)
    const run = (): number => {
      const length = readSync(counters, text, 0, text.length, 0)
      return Number.parseInt(text.toString('latin1', 0, length), 10) / 1e6
    }
    if (run() > 0) return run
  } catch {
    // As below.
  }
  return () => performance.now()
}
