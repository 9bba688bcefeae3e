import { AoError } from '../lib/errors.ts'
import type { MemoryShape } from './meter/module-shape.ts'

/** Bytes of one page of Wasm memory, and of one page of an Image. */
export const pageBytes = 65_536

/**
 * The same module with the maximum of its memory lowered to `limitBytes`, so that even its own `memory.grow` stops there.
 *
 * @param bytes a valid module with one memory of its own, of this shape.
 * @throws AoError `UNSUPPORTED_MODULE` if it starts with more.
 */
export function capMemory(bytes: Uint8Array, memory: MemoryShape, limitBytes: number): Uint8Array {
  const limitPages = Math.floor(limitBytes / pageBytes)
  if (memory.initial > limitPages) {
    throw unsupported('the module starts with more memory than the Process may have', {
      neededBytes: memory.initial * pageBytes,
      limitBytes,
    })
  }
  const { start, end } = memorySectionOf(bytes)
  const maxPages = Math.min(memory.maximum ?? limitPages, limitPages)
  const body = [1, memory.index64 ? 0x05 : 0x01, ...unsigned(memory.initial), ...unsigned(maxPages)]
  const rewritten = Uint8Array.from([memorySection, ...unsigned(body.length), ...body])
  return Buffer.concat([bytes.subarray(0, start), rewritten, bytes.subarray(end)])
}

export const unsupported = (message: string, facts: Record<string, string | number> = {}): AoError =>
  new AoError('UNSUPPORTED_MODULE', message, facts, {
    hint: 'Publish the Module in a format that this node evaluates.',
  })

const memorySection = 5
const preambleBytes = 8

/** Where the section stands, its head included. Each section is an id, its length as LEB128, and its body. */
function memorySectionOf(bytes: Uint8Array): { readonly start: number; readonly end: number } {
  for (let at = preambleBytes; at < bytes.length; ) {
    const start = at
    const id = bytes[at++]
    let size = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = bytes[at++] ?? 0
      size += (byte & 0x7f) * factor
      if (byte < 0x80) break
    }
    at += size
    if (id === memorySection) return { start, end: at }
  }
  throw unsupported('a module must have one memory of its own')
}

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return [...bytes, rest]
}
