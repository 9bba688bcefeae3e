// A reader of the JSON that the host writes, which is always well-formed: it finds values by walking, so that text
// inside a Data or a tag can never be taken for a field.

/** A value somewhere in a text. */
export class Json {
  constructor(
    private readonly all: string,
    private readonly start: i32 = 0,
  ) {}

  /** A field of an object; an empty value if there is none. */
  at(name: string): Json {
    if (this.code() != 0x7b) return nothing // {
    let at = this.start + 1
    while (this.all.charCodeAt(at) != 0x7d) {
      const value = skip(this.all, at) + 1
      if (unquote(this.all, at) == name) return new Json(this.all, value)
      at = skip(this.all, value)
      if (this.all.charCodeAt(at) == 0x2c) at++ // ,
    }
    return nothing
  }

  /** The values of an array. */
  items(): Json[] {
    const found: Json[] = []
    if (this.code() != 0x5b) return found // [
    let at = this.start + 1
    while (this.all.charCodeAt(at) != 0x5d) {
      found.push(new Json(this.all, at))
      at = skip(this.all, at)
      if (this.all.charCodeAt(at) == 0x2c) at++
    }
    return found
  }

  /** Of a string; '' of anything else. */
  text(): string {
    return this.code() == 0x22 ? unquote(this.all, this.start) : '' // "
  }

  private code(): i32 {
    return this.all.charCodeAt(this.start)
  }
}

const nothing = new Json('null')

/** JSON of a string. */
export function quote(text: string): string {
  let json = '"'
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code == 0x22 || code == 0x5c) json += '\\' + text.charAt(i)
    else if (code < 0x20) json += '\\u00' + (code < 16 ? '0' : '') + code.toString(16)
    else json += text.charAt(i)
  }
  return json + '"'
}

/** Where the value that starts here ends. */
function skip(all: string, start: i32): i32 {
  let depth = 0
  let at = start
  do {
    const code = all.charCodeAt(at)
    if (code == 0x22) at = endOfString(all, at)
    else {
      if (code == 0x7b || code == 0x5b) depth++
      else if (code == 0x7d || code == 0x5d) depth--
      at++
      if (depth == 0) while (!isEnd(all.charCodeAt(at))) at++ // the rest of a number or a word
    }
  } while (depth > 0)
  return at
}

/** , : ] } or the end of the text. */
function isEnd(code: i32): bool {
  return code == 0x2c || code == 0x3a || code == 0x5d || code == 0x7d || code < 0
}

function endOfString(all: string, start: i32): i32 {
  let at = start + 1
  while (all.charCodeAt(at) != 0x22) at += all.charCodeAt(at) == 0x5c ? 2 : 1
  return at + 1
}

function unquote(all: string, start: i32): string {
  let text = ''
  let from = start + 1
  let at = from
  while (all.charCodeAt(at) != 0x22) {
    if (all.charCodeAt(at) != 0x5c) {
      at++
      continue
    }
    text += all.substring(from, at)
    const kind = all.charAt(at + 1)
    if (kind == 'u') text += String.fromCharCode(i32(parseInt(all.substring(at + 2, at + 6), 16)))
    else text += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : kind == 'b' ? '\b' : kind == 'f' ? '\f' : kind
    at += kind == 'u' ? 6 : 2
    from = at
  }
  return text + all.substring(from, at)
}
