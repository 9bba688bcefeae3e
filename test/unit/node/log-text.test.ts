import assert from 'node:assert/strict'
import { logText } from '../../../src/node/log-text.ts'

describe('log lines for people', () => {
  const at = (facts: Readonly<Record<string, unknown>>): string =>
    logText(JSON.stringify({ level: 'warn', time: '2026-01-02T03:04:05.678Z', node: 'me', ...facts }), false)

  it('show the event first, then the facts, and no node', () => {
    assert.match(
      at({ event: 'unit-found', roles: ['MU', 'SU'], load: 3, text: 'two words', of: { a: 1 } }),
      /^[0-9]{2}:[0-9]{2}:05 warn {2}unit-found roles=MU,SU load=3 text="two words" of=\{"a":1\}\n$/,
    )
  })

  it('show the stack of an error below', () => {
    const lines = at({ event: 'broke', error: { type: 'Error', message: 'm', stack: 'Error: m\n    at x' } }).split(
      '\n',
    )
    assert.deepEqual(lines.slice(1), ['    Error: m', '        at x', ''])
  })

  it('leave alone what is no log line', () => {
    assert.equal(logText('plain words\n', true), 'plain words\n')
  })
})
