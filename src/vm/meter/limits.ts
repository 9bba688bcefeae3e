/**
 * What a module may hold at most. All lie below what V8 takes in any Node we support, because a limit that differs
 * between versions would split the network; they bound the work of the meter too. Changing one changes which modules
 * exist, so it needs a new meter version.
 */
export const moduleLimits = {
  moduleBytes: 16 * 1024 * 1024,
  meteredBytes: 64 * 1024 * 1024,
  bodyBytes: 2 * 1024 * 1024,
  /** V8 takes 7,654,321. */
  meteredBodyBytes: 7_000_000,
  /** V8 takes 50,000; up to five are added. */
  locals: 49_000,
  types: 50_000,
  imports: 10_000,
  functions: 50_000,
  globals: 50_000,
  exports: 50_000,
  segments: 50_000,
  tags: 10_000,
  tables: 100,
  /** Sum over all tables of the entries they begin with. */
  tableEntries: 100_000,
  /** Mutable globals are part of every saved state. */
  mutableGlobals: 4_096,
  /** Values that a function takes or gives; V8 takes 1,000. */
  values: 1_000,
  nameBytes: 10_000,
  /** 1 GiB in pages of 64 KiB. */
  initialPages: 16_384,
} as const
