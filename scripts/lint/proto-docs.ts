import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'

/** `proto/API.md`: every service, call and message of the .proto files with the comments that stand there. */
export function protoDocs(folder: string): string {
  const files = readdirSync(folder).filter(name => name.endsWith('.proto'))
  const pages = files.map(name => ({ name, root: parsed(readFileSync(join(folder, name), 'utf8')) }))
  return [
    '# gRPC and gossip, call by call',
    '',
    'Written by `npm run docs` from the comments of `ao/v1/*.proto`. How calls work: [README.md](README.md).',
    ...pages.flatMap(({ name, root }) => ['', `## ${name}`, ...root.flatMap(section)]),
    '',
  ].join('\n')
}

function parsed(text: string): readonly protobuf.ReflectionObject[] {
  const { root, package: name } = protobuf.parse(text, { keepCase: true, alternateCommentMode: true })
  const namespace = name === undefined ? root : (root.lookup(name) as protobuf.Namespace)
  return namespace.nestedArray
}

function section(entry: protobuf.ReflectionObject): readonly string[] {
  if (entry instanceof protobuf.Service) return serviceLines(entry)
  if (entry instanceof protobuf.Type) return messageLines(entry)
  return []
}

const serviceLines = (service: protobuf.Service): readonly string[] => [
  ...['', `### Service \`${service.name}\``, '', oneLine(service.comment), ''],
  ...['| call | request | answer | |', '| --- | --- | --- | --- |'],
  ...service.methodsArray.map(
    ({ name, requestType, requestStream, responseType, responseStream, comment }) =>
      `| \`${name}\` | ${stream(requestStream)}\`${requestType}\` | ${stream(responseStream)}\`${responseType}\` | ${oneLine(comment)} |`,
  ),
]

const messageLines = (message: protobuf.Type): readonly string[] => [
  ...['', `### \`${message.name}\``, ''],
  ...(message.comment === null ? [] : [oneLine(message.comment), '']),
  ...(message.fieldsArray.length === 0
    ? ['No fields.']
    : ['| field | number | type | |', '| --- | --- | --- | --- |', ...message.fieldsArray.map(fieldLine)]),
]

function fieldLine(field: protobuf.Field): string {
  const type = `${field.repeated ? 'repeated ' : ''}${field.type}`
  const among = field.partOf === null || field.partOf.name.startsWith('_') ? '' : `One of \`${field.partOf.name}\`. `
  const comment = field.comment ?? field.partOf?.comment ?? null
  return `| \`${field.name}\` | ${field.id} | ${type} | ${among}${oneLine(comment)} |`
}

const stream = (isStream: boolean | undefined): string => (isStream === true ? 'stream of ' : '')
const oneLine = (comment: string | null): string => (comment ?? '').replace(/\s+/g, ' ').replaceAll('|', '\\|').trim()
