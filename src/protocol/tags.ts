import { AoError } from '../lib/errors.ts'

/** Order matters and names may repeat: both are part of the signed bytes. */
export interface Tag {
  readonly name: string
  readonly value: string
}

/** The first value, as every AO reader takes it. */
export const tagValue = (tags: readonly Tag[], name: string): string | undefined =>
  tags.find(tag => tag.name === name)?.value

export const tagValues = (tags: readonly Tag[], name: string): readonly string[] =>
  tags.filter(tag => tag.name === name).map(tag => tag.value)

export const hasTag = (tags: readonly Tag[], name: string, value: string): boolean =>
  tags.some(tag => tag.name === name && tag.value === value)

export const withoutTags = (tags: readonly Tag[], names: readonly string[]): readonly Tag[] =>
  tags.filter(tag => !names.includes(tag.name))

/** @throws AoError `INVALID_DATA_ITEM` naming the missing tag. */
export function requireTag(tags: readonly Tag[], name: string): string {
  const value = tagValue(tags, name)
  if (value === undefined) {
    throw new AoError('INVALID_DATA_ITEM', `tag ${name} is missing`, { tag: name }, { hint: `Add the tag ${name}.` })
  }
  return value
}

/** Builds tags from pairs and leaves out those whose value is undefined. */
export const tagsOf = (...pairs: readonly (readonly [name: string, value: string | undefined])[]): readonly Tag[] =>
  pairs.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]))
