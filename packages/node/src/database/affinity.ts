/**
 * What a column makes of a value that is put into it (https://www.sqlite.org/datatype3.html, 3.1 and
 * 3.4). Where a file declares another type than the file the value came from, it holds that value in
 * another storage class: the same value to the vault, not an edit. Rule ATT28.
 */
import type { AppFile } from "./file.ts";
import type { FileValue } from "./rows.ts";

/** INTEGER and NUMERIC store alike. */
export type Affinity = "TEXT" | "NUMERIC" | "REAL" | "NONE";

export function affinityOf(declared: string, strict: boolean): Affinity {
  const type = declared.toUpperCase();
  if (strict && type === "ANY") return "NONE";
  if (type.includes("INT")) return "NUMERIC";
  if (/CHAR|CLOB|TEXT/.test(type)) return "TEXT";
  if (type === "" || type.includes("BLOB")) return "NONE";
  return /REAL|FLOA|DOUB/.test(type) ? "REAL" : "NUMERIC";
}

/** Numbers as SQLite reads them in text; anything else stays text. */
const numeric = /^[ \t\n\f\r\v]*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?[ \t\n\f\r\v]*$/i;

/** The value that a column of this affinity holds after it was given another. */
export function storedAs(file: AppFile, affinity: Affinity, value: FileValue): FileValue {
  const cast = (type: string): FileValue =>
    file.statement(`SELECT CAST(? AS ${type})`).pluck().get(value) as FileValue;
  const number = (): boolean => typeof value === "string" && numeric.test(value);
  switch (affinity) {
    case "NONE":
      return value;
    case "TEXT":
      return typeof value === "bigint" || typeof value === "number" ? cast("TEXT") : value;
    case "REAL":
      return typeof value === "bigint" ? Number(value) : number() ? cast("REAL") : value;
    case "NUMERIC": {
      const read = number() ? cast("NUMERIC") : value;
      return typeof read === "number" && whole(read) ? BigInt(read) : read;
    }
  }
}

/** As SQLite's `sqlite3VdbeIntegerAffinity`: a REAL that an INTEGER says as well. */
function whole(real: number): boolean {
  return Number.isInteger(real) && Math.abs(real) < 2 ** 63;
}
