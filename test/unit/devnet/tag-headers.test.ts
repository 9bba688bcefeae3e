import assert from 'node:assert/strict'
import { tagHeaders } from '../../../src/devnet/tag-headers.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'

describe('devnet/tag-headers', () => {
  it('gives each printable tag as a header in lower case, the first of equal names', () => {
    const tags = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Process'], ['Type', 'Message'], ['data-protocol', 'x'])
    assert.deepEqual(tagHeaders(tags), { 'data-protocol': 'ao', type: 'Process' })
  })

  it('lets no tag steer HTTP or split a header', () => {
    const tags = tagsOf(
      ['Content-Length', '0'],
      ['content-encoding', 'gzip'],
      ['Transfer-Encoding', 'chunked'],
      ['Set-Cookie', 'a=b'],
      ['Access-Control-Allow-Origin', 'http://evil'],
      ['Location', 'http://evil'],
      ['Two Words', 'x'],
      ['Umläut', 'x'],
      ['', 'x'],
      ['Line', 'a\r\nb: c'],
      ['Unicode', 'zwölf'],
      ['Space', ' x'],
      ['Empty', ''],
    )
    assert.deepEqual(tagHeaders(tags), {})
  })

  it('stays within what clients read', () => {
    const tags = Array.from({ length: 100 }, (_, i) => ({ name: `Name-${i}`, value: 'v'.repeat(1000) }))
    const bytes = Object.entries(tagHeaders(tags)).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
    assert.ok(bytes > 5000 && bytes <= 8192, String(bytes))
  })
})
