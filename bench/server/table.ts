/** One table, at the end: what was measured, and what was asked. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly asked?: string;
  readonly more?: string;
}

export function table(rows: readonly Row[]): string {
  const cells = [
    ["", "measured", "asked", "beside"],
    ...rows.map(({ what, figure, asked = "", more = "" }) => [what, figure, asked, more]),
  ];
  const widths = [0, 1, 2].map((i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => (i < 3 ? cell.padEnd(widths[i] ?? 0) : cell))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
