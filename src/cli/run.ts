import type { Component } from '../lib/component.ts'
import { exitCodes } from './output.ts'

/**
 * Starts, waits for a signal (or for the supervisor to go away), stops in order. A second signal ends at once, code 130.
 */
export async function runUntilStopped(component: Component): Promise<void> {
  const asked = stopAsked()
  await component.start()
  await asked
  await component.stop()
  process.channel?.unref()
}

/** Resolves at the first SIGINT or SIGTERM, or when the parent's channel closes. */
export function stopAsked(): Promise<void> {
  return new Promise(resolve => {
    let times = 0
    const onSignal = (): void => {
      times++
      if (times > 1) process.exit(exitCodes.interrupted)
      resolve()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    process.once('disconnect', () => resolve())
  })
}
