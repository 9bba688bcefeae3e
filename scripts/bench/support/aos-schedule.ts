import { join } from 'node:path'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { type Assignment, draftAssignment, nextAssignment, parseAssignment } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, ModuleId, ProcessId } from '../../../src/protocol/ids.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { aMessage, anId, aProcess, processIdOf, testSigner } from '../../../test/support/builders.ts'
import { aosModuleItem } from '../../../test/support/modules/aos.ts'

/** Writes the log of so many aos Processes with so many messages each into `dir`: half Evals, half Transfers. */
export async function writeAosLog(
  dir: string,
  { processes, messages }: { readonly processes: number; readonly messages: number },
): Promise<readonly ProcessId[]> {
  const module = (await aosModuleItem()).id as Id as ModuleId
  const store = await openStore(join(dir, 'log'), { log: silentLogger })
  const log = new LevelAssignmentLog(store)
  const ids: ProcessId[] = []
  for (let i = 0; i < processes; i++) {
    const item = await aProcess({ module, tags: [{ name: 'Name', value: `bench ${i}` }] })
    ids.push(processIdOf(item))
    await writeOne(log, item, messages)
  }
  await store.close()
  return ids
}

async function writeOne(log: LevelAssignmentLog, item: DataItem, count: number): Promise<void> {
  const su = testSigner('su')
  const block = { height: 1_500_000, hash: anId('block'), timestamp: 1_700_000_000_000 }
  const process = processIdOf(item)
  let previous: Assignment | undefined
  for (let nonce = 0; nonce <= count; ) {
    const batch = []
    for (; nonce <= count && batch.length < 500; nonce++) {
      const message = nonce === 0 ? item : await messageAt(process, nonce)
      const now = 1_700_000_000_000 + nonce
      const fields = nextAssignment(previous, { process, message: message.id, now, block })
      previous = parseAssignment(await su.sign(draftAssignment(fields)))
      batch.push({ assignment: previous, message })
    }
    await log.append(batch)
  }
}

function messageAt(process: ProcessId, nonce: number): Promise<DataItem> {
  const anchor = `a message of the bench${nonce}`.padEnd(32, '.').slice(0, 32)
  if (nonce === 1) return aMessage(process, { anchor, data: token, tags: tagsOf(['Action', 'Eval']) })
  if (nonce % 2 === 1) {
    return aMessage(process, {
      anchor,
      data: 'Count = (Count or 0) + 1; return Count',
      tags: tagsOf(['Action', 'Eval']),
    })
  }
  const tags = tagsOf(['Action', 'Transfer'], ['Recipient', anId(`account ${nonce % 20}`)], ['Quantity', String(nonce)])
  return aMessage(process, { anchor, tags })
}

const token = `
  local bint = require('.bint')(256)
  Balances = { ["${testSigner().address}"] = '1' .. ('0'):rep(30) }
  Handlers.add("transfer", Handlers.utils.hasMatchingTag("Action", "Transfer"), function (msg)
    local to, quantity = msg.Tags.Recipient, bint(msg.Tags.Quantity)
    local balance = bint(Balances[msg.From] or "0")
    assert(bint.__le(quantity, balance), "insufficient balance")
    Balances[msg.From] = tostring(balance - quantity)
    Balances[to] = tostring(bint(Balances[to] or "0") + quantity)
    Send({ Target = msg.From, Action = "Debit-Notice", Quantity = tostring(quantity), Data = "sent" })
    Send({ Target = to, Action = "Credit-Notice", Quantity = tostring(quantity), Data = "received" })
  end)
`
