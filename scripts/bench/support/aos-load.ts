import type { VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { evalOf, idOf, messageOf, ownerOf, spawnOf } from '../../../test/support/modules/process.ts'

/** A Process and its token, before anything is measured. */
export const aosStart = (process: ProcessId): VmMessage[] => [
  spawnOf(process),
  evalOf(process, 1, tokenLua(ownerOf(process))),
]

/** Half Evals that count, half Transfers of a token with 256-bit balances and two notices each. */
export function aosLoad(process: ProcessId, count: number): VmMessage[] {
  return Array.from({ length: count }, (_, i) => {
    const nonce = i + 2
    if (nonce % 2 === 1) return evalOf(process, nonce, 'Count = (Count or 0) + 1; return Count')
    const tags = { Action: 'Transfer', Recipient: idOf(`account ${nonce % 20}`), Quantity: String(nonce) }
    return messageOf(process, nonce, { from: ownerOf(process), tags })
  })
}

/** A ledger of 256-bit balances, all of it the owner's at first. */
export const tokenLua = (owner: string): string => `
  local bint = require('.bint')(256)
  Balances = { ["${owner}"] = '1' .. ('0'):rep(30) }
  Handlers.add("transfer", Handlers.utils.hasMatchingTag("Action", "Transfer"), function (msg)
    local to, quantity = msg.Tags.Recipient, bint(msg.Tags.Quantity)
    local balance = bint(Balances[msg.From] or "0")
    assert(bint.__le(quantity, balance), "insufficient balance")
    Balances[msg.From] = tostring(balance - quantity)
    Balances[to] = tostring(bint(Balances[to] or "0") + quantity)
    Send({ Target = msg.From, Action = "Debit-Notice", Recipient = to, Quantity = tostring(quantity), Data = "sent" })
    Send({ Target = to, Action = "Credit-Notice", Sender = msg.From, Quantity = tostring(quantity), Data = "received" })
  end)
`
