/** Far more than modules nest, far less than would exhaust the stack of any node that hashes the answer. */
const maxDepth = 128

/** Of all text in an answer, in UTF-16 units, plus `unitsPerValue` for each value: what any wire and store can carry. */
const maxUnits = 8 * 1024 * 1024
/** An empty message is one value to its module, and four fields with their names to everybody else. */
const unitsPerValue = 32

/**
 * Why no node keeps an answer, or undefined. Part of what all nodes agree on, words included.
 *
 * Without recursion: the answer is the Process's, who may nest it as deep as it likes.
 */
export function answerFault(answer: unknown): string | undefined {
  let units = 0
  let level: unknown[] = [answer]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return `the answer is nested deeper than ${maxDepth} levels`
    const below: unknown[] = []
    for (const value of level) {
      units += unitsPerValue + (typeof value === 'string' ? value.length : 0)
      if (value === null || typeof value !== 'object') continue
      for (const [key, entry] of Object.entries(value)) {
        if (!Array.isArray(value)) units += key.length
        below.push(entry)
      }
    }
    if (units > maxUnits) return `the answer is larger than ${maxUnits} characters`
    level = below
  }
  return undefined
}
