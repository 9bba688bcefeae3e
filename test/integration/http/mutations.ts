import type { SeededRandom } from '../../support/random.ts'
import type { RawRequest } from './described-requests.ts'

type Mutation = (request: RawRequest, random: SeededRandom) => RawRequest
const oddTexts = [
  '',
  '%',
  '%00',
  '%ff%fe',
  '..',
  '-1',
  '1e99',
  '0x1',
  'null',
  '[]',
  '{"a":1}',
  'é',
  '=',
  '&&',
  '?',
  'a'.repeat(300),
]
const oddCursors = ['e30=', 'bnVsbA==', btoa('{"ordinate":"-5"}'), btoa('{"ordinate":{},"timestamp":[]}'), btoa('[1]')]

const mutations: readonly Mutation[] = [
  (request, random) => ({
    ...request,
    method: random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE']),
  }),
  (request, random) => ({ ...request, path: spliced(request.path, random.pick(oddTexts), random) }),
  (request, random) => ({
    ...request,
    path: request.path.replace(/=[^&]*/, `=${encodeURIComponent(random.pick([...oddTexts, ...oddCursors]))}`),
  }),
  request => ({ ...request, path: `${request.path}${request.path.replace(/^[^?]*\??/, '&')}` }),
  (request, random) => ({
    ...request,
    path: request.path.replace(/[A-Za-z0-9_-]{43}/, id => id.slice(0, random.below(43))),
  }),
  (request, random) => ({
    ...request,
    path: `${request.path}/${random.pick(oddTexts.filter(text => !/[^!-~]/.test(text)))}`,
  }),
  (request, random) => ({
    ...request,
    headers: [
      `Content-Type: ${random.pick(['', ';', 'text/plain', 'application/json; charset=x', 'multipart/form-data'])}`,
    ],
  }),
  (request, random) => ({
    ...request,
    headers: [`Content-Encoding: ${random.pick(['gzip', 'br'])}`, `Expect: ${random.pick(['100-continue', 'x'])}`],
  }),
  (request, random) => ({ ...request, method: 'POST', body: random.bytes(random.below(3000)) }),
  (request, random) => ({ ...request, body: request.body.subarray(0, random.below(request.body.length + 1)) }),
  (request, random) => ({ ...request, body: flipped(request.body, random) }),
  (request, random) => ({
    ...request,
    method: 'POST',
    body: Buffer.from(
      random.pick(['{', 'null', '[]', '{"Tags":{}}', '{"Data":{"a":[]}}', '"x"', '1e999', `${'['.repeat(50_000)}`]),
    ),
  }),
]

/** One to three times. */
export function mutated(request: RawRequest, random: SeededRandom): RawRequest {
  let changed = request
  for (let i = random.below(3); i >= 0; i--) changed = random.pick(mutations)(changed, random)
  return changed
}

function spliced(text: string, odd: string, random: SeededRandom): string {
  const at = 1 + random.below(text.length)
  return text.slice(0, at) + odd + text.slice(at + random.below(3))
}

function flipped(bytes: Buffer, random: SeededRandom): Buffer {
  const copy = Buffer.from(bytes)
  for (let i = 0; i < 3 && copy.length > 0; i++) copy.writeUInt8(random.below(256), random.below(copy.length))
  return copy
}
