// A token as a JavaScript module (js-quickjs-1). The variables of the module are the state.
//
//   npx aonet module publish src/modules/examples/token/token.js --name token
//   npx aonet spawn --tag Ticker=COIN
//   npx aonet send PROCESS --action Mint --tag Quantity=1000
//   npx aonet send PROCESS --action Transfer --tag Recipient=ADDRESS --tag Quantity=5
//   npx aonet dry-run PROCESS --action Balance
//
// A user's mistake is answered with a notice, not thrown: a throw costs the message's gas and tells nobody.

const balances = new Map()
let supply = 0n

const actions = {
  Info: (message, env) => notice(message, 'Info', { Ticker: tag(env.Process, 'Ticker') ?? 'COIN', Supply: supply }),

  Balance: message => {
    const account = tag(message, 'Recipient') ?? message.From
    return notice(message, 'Balance', { Account: account, Balance: balanceOf(account) })
  },

  /** For the owner of the Process alone. */
  Mint: (message, env) => {
    if (message.From !== env.Process.Owner) return refusal(message, 'only the owner mints')
    const quantity = quantityOf(message)
    if (quantity === undefined) return refusal(message, 'Quantity is not a whole number above zero')
    add(message.From, quantity)
    supply += quantity
    return notice(message, 'Minted', { Quantity: quantity, Supply: supply })
  },

  Transfer: message => {
    const [to, quantity] = [tag(message, 'Recipient'), quantityOf(message)]
    if (to === undefined || to === '') return refusal(message, 'Recipient is missing')
    if (quantity === undefined) return refusal(message, 'Quantity is not a whole number above zero')
    if (balanceOf(message.From) < quantity) return refusal(message, 'the balance is too low')
    add(message.From, -quantity)
    add(to, quantity)
    const facts = { From: message.From, To: to, Quantity: quantity }
    return {
      Output: `${quantity} to ${to}`,
      Messages: [send(message.From, 'Debit-Notice', facts), send(to, 'Credit-Notice', facts)],
    }
  },
}

export function handle(message, env) {
  if (message.Id === env.Process.Id) return { Output: 'a new token' } // nonce 0: the spawn itself
  const action = tag(message, 'Action')
  return Object.hasOwn(actions, action) ? actions[action](message, env) : refusal(message, 'no such Action')
}

const balanceOf = account => balances.get(account) ?? 0n

function add(account, quantity) {
  const balance = balanceOf(account) + quantity
  if (balance === 0n) balances.delete(account)
  else balances.set(account, balance)
}

function quantityOf(message) {
  const text = tag(message, 'Quantity') ?? ''
  return /^[1-9][0-9]{0,77}$/.test(text) ? BigInt(text) : undefined
}

const tag = ({ Tags }, name) => Tags.find(each => each.name === name)?.value

/** BigInts are no JSON: what is sent is text. */
const send = (target, action, facts) => ({
  Target: target,
  Data: '',
  Tags: [
    { name: 'Action', value: action },
    ...Object.entries(facts).map(([name, value]) => ({ name, value: String(value) })),
  ],
})

const notice = (message, action, facts) => ({
  Output: Object.values(facts).join(' '),
  Messages: [send(message.From, action, facts)],
})

const refusal = (message, reason) => ({ Output: reason, Messages: [send(message.From, 'Refused', { Reason: reason })] })
