/**
 * When two names are one (FIL3). Simple case folding of NFC, by the tables of Unicode 15.1 that
 * come with the format: what an engine knows beyond them would make two devices disagree.
 */
import { ASSIGNED, FOLDED } from "./fold-data.ts";

const ASCII = /^[\0-\x7f]*$/;

const folded: ReadonlyMap<number, number> = readFolded();
const assigned: readonly (readonly [number, number])[] = readAssigned();

function readFolded(): Map<number, number> {
  const map = new Map<number, number>();
  for (const run of FOLDED.split(",")) {
    const [first = 0, count = 0, step = 0, delta = 0] = run.split(" ").map((n) => Number.parseInt(n, 36));
    for (let i = 0, c = first; i < count; i++, c += step) map.set(c, c + delta);
  }
  return map;
}

function readAssigned(): [number, number][] {
  let last = 0;
  return ASSIGNED.split(",").map((range) => {
    const [gap = 0, more = 0] = range.split(" ").map((n) => Number.parseInt(n, 36));
    const first = last + gap;
    last = first + more;
    return [first, last];
  });
}

export function isAssigned(code: number): boolean {
  let [low, high] = [0, assigned.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [first, last] = assigned[middle] as readonly [number, number];
    if (code < first) high = middle - 1;
    else if (code > last) low = middle + 1;
    else return true;
  }
  return false;
}

/**
 * NFC by Unicode 15.1 on every engine: normalisation of assigned characters never changes
 * (Unicode stability policy); what was unassigned then stands as it is.
 */
export function nfc(text: string): string {
  if (ASCII.test(text)) return text;
  let [out, run] = ["", ""];
  for (const char of text) {
    if (isAssigned(char.codePointAt(0) as number)) {
      run += char;
      continue;
    }
    out += run.normalize("NFC") + char;
    run = "";
  }
  return out + run.normalize("NFC");
}

/** Of a name in NFC. */
export function fold(name: string): string {
  if (ASCII.test(name)) return name.toLowerCase();
  let out = "";
  for (const char of name) {
    const to = folded.get(char.codePointAt(0) as number);
    out += to === undefined ? char : String.fromCodePoint(to);
  }
  return out;
}
