import { type Tag, tagValue } from '../protocol/tags.ts'

/** Names that steer HTTP itself, which a tag must not do. `content-type` is set from its tag by whoever sends data. */
const reserved =
  /^(connection|content-.*|transfer-encoding|keep-alive|upgrade|trailer|te|date|server|location|set-cookie|host|proxy-.*|access-control-.*|cache-control|expires|vary|via|www-authenticate|refresh|strict-transport-security|alt-svc|age|etag|last-modified|link)$/
/** RFC 9110: a token, and visible ASCII with inner spaces. */
const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
const headerValue = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/
/** Clients such as node's read 16 KiB of headers at most. */
const maxBytes = 8 * 1024

/** What the Content-Type tag says, if HTTP can carry it. */
export function contentType(tags: readonly Tag[]): string | undefined {
  const type = tagValue(tags, 'Content-Type')
  return type !== undefined && headerValue.test(type) && type.length <= maxBytes ? type : undefined
}

/** The tags that HTTP can carry, as AO's messenger reads them; the first of equal names. */
export function tagHeaders(tags: readonly Tag[]): Record<string, string> {
  const headers: Record<string, string> = {}
  let bytes = 0
  for (const { name, value } of tags) {
    const key = name.toLowerCase()
    if (reserved.test(key) || !headerName.test(key) || !headerValue.test(value) || Object.hasOwn(headers, key)) continue
    bytes += key.length + value.length + 4
    if (bytes > maxBytes) break
    headers[key] = value
  }
  return headers
}
