export type NumberType = 'i32' | 'i64' | 'f32' | 'f64'
export type ValueType = NumberType | 'v128' | 'funcref' | 'externref'
export type ExternKind = 'function' | 'table' | 'memory' | 'global' | 'tag'

export interface ImportShape {
  readonly module: string
  readonly name: string
  readonly kind: ExternKind
  /** Of a function: so that a caller can refuse imports that carry floats, whose NaN bits the host chooses. */
  readonly signature?: { readonly params: readonly ValueType[]; readonly results: readonly ValueType[] }
}

export interface ExportShape {
  readonly name: string
  readonly kind: ExternKind
}

/** Sizes in pages of 64 KiB. */
export interface MemoryShape {
  readonly initial: number
  readonly maximum: number | undefined
  readonly index64: boolean
  readonly imported: boolean
}

/** A mutable global, which the metered module exports whatever the plain one does. */
export interface GlobalShape {
  readonly index: number
  readonly type: NumberType
  readonly exportName: string
  readonly imported: boolean
}

/** What a caller's policy may want to know of a module; all of the plain module, before metering. */
export interface ModuleShape {
  readonly hasStart: boolean
  readonly imports: readonly ImportShape[]
  readonly exports: readonly ExportShape[]
  readonly memory: MemoryShape | undefined
  readonly hasTables: boolean
  readonly mutableGlobals: readonly GlobalShape[]
  readonly uses: FeatureUse
}

/** Instructions that the code holds, whether they ever run or not. */
export interface FeatureUse {
  readonly tableChanges: boolean
  readonly segmentDrops: boolean
  readonly exceptions: boolean
  readonly simd: boolean
  readonly memoryGrow: boolean
}
