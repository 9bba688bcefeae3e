/** Lines of text with a table under them that is drawn anew in place. On a pipe the table is left out. */
export class LiveScreen {
  readonly #out: NodeJS.WriteStream
  #drawn = 0

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out
  }

  get live(): boolean {
    return this.#out.isTTY === true
  }

  /** Prints above the table. */
  line(text: string): void {
    this.#erase()
    this.#out.write(`${text}\n`)
  }

  /** Draws the table under the last line; call it as often as you like. */
  draw(table: string): void {
    if (!this.live) return
    this.#erase()
    const width = Math.max(20, this.#out.columns ?? 100)
    const lines = table.split('\n').map(line => line.slice(0, width - 1))
    this.#out.write(`${lines.join('\n')}\n`)
    this.#drawn = lines.length
  }

  #erase(): void {
    if (this.#drawn > 0) this.#out.write(`\u001b[${this.#drawn}A\u001b[0J`)
    this.#drawn = 0
  }
}

/** Columns padded to their widest cell; numbers to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [header, ...rows].map(row => row.map(String))
  const widths = header.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  const numeric = header.map((_, column) => rows.every(row => typeof row[column] === 'number'))
  return cells
    .map(row =>
      row
        .map((cell, column) =>
          numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
