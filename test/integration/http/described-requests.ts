import type { SeededRandom } from '../../support/random.ts'

/** What decides. */
export type Chance = Pick<SeededRandom, 'below' | 'pick'>

/** One request, as it goes over the socket. */
export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly headers: readonly string[]
  readonly body: Buffer
}

interface Schema {
  readonly type?: string
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
}
interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required?: boolean
  readonly schema: Schema
}
interface Operation {
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> }
}

/** What the schema cannot know: which ids there are, and what a body of each type holds. */
export interface Examples {
  readonly values: Readonly<Record<string, string>>
  /** By operation, such as `GET /su/{id}`, where it wants others. */
  readonly special: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly bodies: Readonly<Record<string, Buffer>>
}

/** One call of the API's description. */
export interface Described {
  /** `GET /su/{id}` */
  readonly name: string
  /** All that is required, and of the rest what chance picks. */
  wellFormed(random: Chance): RawRequest
  /** One parameter breaks its schema, or one that is required is missing. */
  illTyped(random: Chance): RawRequest
}

/** Every call that `/openapi.json` describes. */
export function describedCalls(openapi: unknown, examples: Examples): readonly Described[] {
  const { paths } = openapi as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => call(method.toUpperCase(), path, { operation, examples })),
  )
}

function call(
  method: string,
  path: string,
  { operation, examples }: { readonly operation: Operation; readonly examples: Examples },
): Described {
  const name = `${method} ${path}`
  const { parameters, requestBody } = operation
  const [type] = Object.keys(requestBody?.content ?? {})
  const request = (values: ReadonlyMap<string, string>): RawRequest => {
    const filled = parameters
      .filter(parameter => parameter.in === 'path')
      .reduce((text, part) => text.replace(`{${part.name}}`, values.get(part.name) ?? ''), path)
    const query = parameters
      .filter(parameter => parameter.in === 'query' && values.has(parameter.name))
      .map(parameter => `${parameter.name}=${encodeURIComponent(values.get(parameter.name) ?? '')}`)
    return {
      method,
      path: query.length === 0 ? filled : `${filled}?${query.join('&')}`,
      headers: type === undefined ? [] : [`Content-Type: ${type}`],
      body: type === undefined ? Buffer.alloc(0) : (examples.bodies[type] ?? Buffer.alloc(0)),
    }
  }
  const given = (random: Chance): Map<string, string> => {
    const picked = parameters.filter(({ required }) => required === true || random.below(2) === 0)
    return new Map(picked.map(parameter => [parameter.name, rightValue(parameter, { name, examples, random })]))
  }
  return {
    name,
    wellFormed: random => request(given(random)),
    illTyped: random => {
      const values = given(random)
      if (parameters.length > 0) {
        const broken = random.pick(parameters)
        if (broken.in === 'query' && broken.required === true && random.below(3) === 0) values.delete(broken.name)
        else values.set(broken.name, wrongValue(broken.schema, random))
      }
      return request(values)
    },
  }
}

function rightValue(
  { name: parameter, schema }: Parameter,
  { name, examples, random }: { readonly name: string; readonly examples: Examples; readonly random: Chance },
): string {
  const known = examples.special[name]?.[parameter] ?? examples.values[parameter]
  if (known !== undefined) return known
  if (schema.enum !== undefined) return random.pick(schema.enum)
  if (schema.type === 'integer') return String((schema.minimum ?? 0) + random.below(5))
  return '1'
}

function wrongValue(schema: Schema, random: Chance): string {
  if (schema.pattern !== undefined)
    return random.pick(['x', '%', 'a'.repeat(42), 'a'.repeat(44), '..', '=', '\u0000', 'é'])
  if (schema.enum !== undefined) return random.pick(['', 'asc', 'UP', '1'])
  if (schema.type === 'integer') return random.pick(['-1', '1.5', '1e99', 'many', '99999999999999999999', ' 1', '0x1'])
  return random.pick(['', 'a'.repeat(5000), '{"a":', '\u0000', '%00'])
}
