import type { BinaryWriter } from '../meter/binary-writer.ts'
import { op } from '../meter/opcodes.ts'

/** A block as it was; `isTarget`: some branch goes to it, so it has to stay. */
export interface Frame {
  readonly opcode: number
  isTarget: boolean
  /** How many blocks that stay were open when it was, itself counted. */
  depth: number
}

/** One instruction, or several that stand together. */
export interface Piece {
  /** Bytes of the function that are taken over as they are. */
  from: number
  to: number
  /** Put before them. */
  readonly opcode?: number | undefined
  readonly constant?: number | undefined
  /** Opens or closes it. */
  readonly frame?: Frame | undefined
  /** Of a branch. */
  readonly targets?: readonly Frame[] | undefined
}

/** Writes the pieces of a function: blocks that no branch goes to are left out, so the branches count others. */
export function writePieces(writer: BinaryWriter, bytes: Uint8Array, pieces: readonly Piece[]): void {
  let depth = 0
  for (const piece of pieces) {
    const { frame, opcode, targets } = piece
    if (frame !== undefined && opcode !== op.else) {
      if (!frame.isTarget) continue
      if (opcode === op.end) depth--
      else frame.depth = ++depth
    }
    if (opcode !== undefined) writer.byte(opcode)
    if (piece.constant !== undefined) writer.signed(piece.constant)
    if (targets !== undefined) {
      if (opcode === op.brTable) writer.u32(targets.length - 1)
      for (const target of targets) writer.u32(depth - target.depth)
    }
    writer.copy(bytes, piece.from, piece.to)
  }
}
