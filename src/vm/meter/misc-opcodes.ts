/** The instructions behind 0xFC, by their second number. */
export interface MiscOpcode {
  /** How many LEB128 immediates follow. */
  readonly immediates: number
  readonly height: number
  /** What a length on top of the stack counts, where there is one: it is paid for before the instruction runs. */
  readonly pays?: 'bytes' | 'bytes-of-segment' | 'entries'
  /** Set where the instruction changes state that is not saved with memory and globals. */
  readonly unsaved?: 'table-change' | 'segment-drop'
}

const truncate: MiscOpcode = { immediates: 0, height: 0 }

/** Indexed by the second number; anything beyond is unknown. */
export const miscOpcodes: readonly MiscOpcode[] = [
  ...Array.from({ length: 8 }, () => truncate),
  { immediates: 2, height: -3, pays: 'bytes-of-segment' }, // memory.init
  { immediates: 1, height: 0, unsaved: 'segment-drop' }, // data.drop
  { immediates: 2, height: -3, pays: 'bytes' }, // memory.copy
  { immediates: 1, height: -3, pays: 'bytes' }, // memory.fill
  { immediates: 2, height: -3, pays: 'entries', unsaved: 'table-change' }, // table.init
  { immediates: 1, height: 0, unsaved: 'segment-drop' }, // elem.drop
  { immediates: 2, height: -3, pays: 'entries', unsaved: 'table-change' }, // table.copy
  { immediates: 1, height: -1, pays: 'entries', unsaved: 'table-change' }, // table.grow
  { immediates: 1, height: 1 }, // table.size
  { immediates: 1, height: -3, pays: 'entries', unsaved: 'table-change' }, // table.fill
]
