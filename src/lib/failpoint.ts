/** A place where a test ends this program as a power cut would, and after how many crossings. */
interface Armed {
  readonly name: string
  left: number
  readonly end: () => void
}

let armed: Armed | undefined

/** Marks a place between two steps that a crash may come between. Costs a look at one variable unless a test armed it. */
export function failpoint(name: string): void {
  if (armed === undefined || armed.name !== name) return
  if (--armed.left <= 0) armed.end()
}

/**
 * Has `end` called at the `count`th crossing of a place, by `name:count`. For tests: `AONET_FAILPOINT`.
 *
 * @throws TypeError for any other text.
 */
export function armFailpoint(text: string, end: () => void): void {
  const [, name, count] = /^([a-z-]+):([1-9]\d*)$/.exec(text) ?? []
  if (name === undefined) throw new TypeError(`not a failpoint and a count, like su-signed:3: ${text}`)
  armed = { name, left: Number(count), end }
}
