/**
 * Runs inside QuickJS before the module, and gives the one function that the host calls: first with the environment as
 * JSON, then with what evaluating the module gave, then with each message as JSON, which it answers as JSON.
 *
 * It takes away what differs between machines or would outlive a message. It freezes no built-ins: the module is alone
 * in its machine, and frozen ones break `this.name = …` in classes of errors. It keeps the ones it needs itself.
 *
 * Part of the identity of `js-quickjs-1`: a change of one character changes gas and pointers, so it makes another format.
 */
export const quickJsPrelude = `(() => {
'use strict'
const { parse, stringify } = JSON
const { freeze, getOwnPropertyNames } = Object
const { isArray } = Array
const { imul } = Math
const text = String
const absent = ['WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer', 'Atomics', 'performance', 'gc', 'print',
  'scriptArgs', 'navigator', 'queueMicrotask']
for (const name of absent) delete globalThis[name]

// Math.random: sfc32, seeded when it is first asked for by four lanes of FNV-1a over the message's id.
let s0, s1, s2, s3, seedText
const next = () => {
  const t = (s0 + s1 | 0) + s3 | 0
  s3 = s3 + 1 | 0
  s0 = s1 ^ s1 >>> 9
  s1 = s2 + (s2 << 3) | 0
  s2 = (s2 << 21 | s2 >>> 11) + t | 0
  return (t >>> 0) / 4294967296
}
const seed = id => {
  s0 = 0x811c9dc5, s1 = 0x01000193, s2 = 0x9e3779b9, s3 = 0x85ebca6b
  for (let i = 0; i < id.length; i++) {
    const k = id.charCodeAt(i)
    s0 = imul(s0 ^ k, 0x01000193); s1 = imul(s1 ^ k, 0x85ebca6b)
    s2 = imul(s2 ^ k, 0xc2b2ae35); s3 = imul(s3 ^ k, 0x27d4eb2f)
  }
  for (let i = 0; i < 12; i++) next()
}
Math.random = () => {
  if (seedText !== undefined) { seed(seedText); seedText = undefined }
  return next()
}

// console: the lines are the Output of a message that gives none.
let lines = []
const bigints = (_, value) => typeof value === 'bigint' ? value + 'n' : value
const show = value => typeof value === 'string' ? value
  : typeof value === 'bigint' ? value + 'n'
  : value instanceof Error ? describe(value)
  : typeof value === 'object' && value !== null ? stringify(value, bigints)
  : text(value)
const log = (...values) => { lines[lines.length] = values.map(show).join(' ') }
globalThis.console = { log, info: log, warn: log, error: log, debug: log, trace: log }

const describe = thrown => {
  try {
    if (thrown instanceof Error) return thrown.name + ': ' + thrown.message
    return typeof thrown === 'string' ? thrown : 'thrown: ' + show(thrown)
  } catch { return 'the module threw something that cannot be shown' }
}
const frozen = value => {
  if (typeof value === 'object' && value !== null) {
    for (const key of getOwnPropertyNames(value)) frozen(value[key])
    freeze(value)
  }
  return value
}
const list = (result, name) => {
  const value = result[name]
  if (value === undefined || value === null) return []
  if (!isArray(value)) throw new TypeError(name + ' of a result must be an array')
  return value
}
const answer = result => {
  if (result === undefined || result === null) result = {}
  if (typeof result !== 'object') throw new TypeError('handle must return a result object or nothing')
  if (typeof result.then === 'function') throw new TypeError('handle must not be asynchronous')
  const { Error: error, Output = lines.length > 0 ? lines.join('\\n') : '' } = result
  if (error !== undefined && error !== null && error !== false && error !== '') return { Error: typeof error === 'string' ? error : show(error) }
  return { Messages: list(result, 'Messages'), Spawns: list(result, 'Spawns'), Assignments: list(result, 'Assignments'), Output }
}

let env, handler
const find = exported => {
  if (typeof exported === 'object' && exported !== null && typeof exported.handle === 'function') return exported.handle
  if (typeof __module === 'object' && __module !== null && typeof __module.handle === 'function') return __module.handle
  if (typeof handle === 'function') return handle
  throw new TypeError('the module has no function named handle')
}
return value => {
  if (env === undefined) { env = frozen(parse(value)); seedText = env.Process.Id; return }
  if (handler === undefined) { handler = find(value); return }
  try {
    const message = parse(value)
    lines = []
    seedText = text(message.Id)
    return stringify(answer(handler(message, env)))
  } catch (thrown) { return stringify({ Error: describe(thrown) }) }
}
})()`
