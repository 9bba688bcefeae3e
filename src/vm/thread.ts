import { readlinkSync } from 'node:fs'
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

/** All that nobody else wants, and of a core that others want a thirtieth: then a quick call hardly waits for a long one. */
const niceness = 15

/** Lets the other threads of this program go first, where the system knows threads apart (Linux). */
export function lowerPriority(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    if (thread > 0) setPriority(thread, niceness)
  } catch {
    // Elsewhere all threads are equal.
  }
}
