import type { VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { evalOf, idOf, messageOf, spawnOf } from './process.ts'

/** A spawn, a token with transfers between accounts, Evals of many kinds, and every eighth message a failure. */
export function mixedMessages(process: ProcessId, count = 152): VmMessage[] {
  const messages: VmMessage[] = [spawnOf(process), evalOf(process, 1, token)]
  for (let nonce = 2; nonce < count; nonce++) {
    const lua = failures[Math.floor(nonce / 8) % failures.length] ?? ''
    if (nonce % 8 === 7) messages.push(evalOf(process, nonce, lua))
    else if (nonce % 2 === 0) messages.push(transferOf(process, nonce))
    else messages.push(evalOf(process, nonce, evals[nonce % evals.length] ?? ''))
  }
  return messages
}

/** Needs `token`. */
export const transferOf = (process: ProcessId, nonce: number): VmMessage =>
  messageOf(process, nonce, {
    from: idOf(`account ${nonce % 3}`),
    tags: { Action: 'Transfer', Recipient: idOf(`account ${(nonce + 1) % 5}`), Quantity: String(nonce * 7) },
  })

const failures = [
  'error("on purpose")',
  'return nil + 1',
  'Balances = {} ; local x = nil ; return x.y',
  'return string.rep("x", 2000000000)',
  'this is not Lua',
]

const evals = [
  'Counter = (Counter or 0) + 1; return Counter',
  'local t = {} for k, v in pairs({ a = 1, b = 2, c = 3 }) do t[#t + 1] = k .. v end return table.concat(t, ",")',
  'return tostring({}) .. tostring(print) .. math.random(1000000)',
  'Log = (Log or "") .. ("x"):rep(5000); return #Log',
  'return os.time() .. os.date("!%Y-%m-%d %H:%M", 86400 * 365) .. os.date("%c", 1700000000)',
  'print("hello"); Send({ Target = ao.id, Action = "Note", Data = "ünïcödé ✓" })',
  'return require("json").encode({ list = { 1, 2, 3 }, text = "quoted \\"text\\"" })',
]

/** Lua of a ledger that answers `Transfer` with two notices. */
export const token = `
  Balances = Balances or {}
  for i = 0, 4 do Balances["start" .. i] = 1000 end
  Handlers.add("transfer", Handlers.utils.hasMatchingTag("Action", "Transfer"), function (msg)
    local from, to, quantity = msg.From, msg.Tags.Recipient, tonumber(msg.Tags.Quantity)
    Balances[from] = (Balances[from] or 1000) - quantity
    Balances[to] = (Balances[to] or 1000) + quantity
    Send({ Target = from, Action = "Debit-Notice", Quantity = tostring(quantity), Data = "sent" })
    Send({ Target = to, Action = "Credit-Notice", Quantity = tostring(quantity), Data = "received" })
  end)
`
