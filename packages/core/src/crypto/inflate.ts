import { MAX_INFLATE_RATIO } from "./suite.ts";

/**
 * Raw inflate (RFC 1951) that takes exactly what zlib takes and fails on everything else.
 *
 * Whether compressed bytes are good decides whether a frame is void, so every device must decide
 * alike. fflate's decoder is lenient where zlib is not: it takes incomplete and oversubscribed
 * codes, distances before the start, bytes after the end. So it compresses here, but this
 * decodes. The rules are those of zlib's `inflate.c` and `inftrees.c`; a test puts mutated
 * streams to both.
 */
export function inflateExact(input: Uint8Array, exactLength: number): Uint8Array | null {
  if (exactLength > input.length * MAX_INFLATE_RATIO) return null;
  const state: State = {
    input,
    at: 0,
    hold: 0,
    bits: 0,
    output: new Uint8Array(exactLength),
    written: 0,
  };
  // Made once: a stream of a million empty fixed blocks must not build their codes each time.
  let fixed: Codes | undefined;
  let own: Codes | undefined;
  for (let final = 0; final === 0; ) {
    const header = take(state, 3);
    if (header < 0) return null;
    final = header & 1;
    const type = header >> 1;
    if (type === 0) {
      if (!stored(state)) return null;
      continue;
    }
    if (type === 3) return null;
    let codes: Codes;
    if (type === 1) {
      fixed ??= fixedCodes();
      codes = fixed;
    } else {
      own ??= createCodes();
      codes = own;
      if (!dynamic(state, codes)) return null;
    }
    if (!compressed(state, codes)) return null;
  }
  // Whole bytes still held were not part of the stream.
  if (state.at - (state.bits >> 3) !== input.length) return null;
  return state.written === exactLength ? state.output : null;
}

interface State {
  readonly input: Uint8Array;
  at: number;
  /** Bits read but not used, the next one lowest. */
  hold: number;
  bits: number;
  readonly output: Uint8Array;
  written: number;
}

/** A canonical Huffman code: a table for codes up to `root` bits, the counts for longer ones. */
interface Code {
  readonly root: number;
  /** By the next `root` bits: symbol << 4 | length, or 0. */
  readonly table: Uint16Array;
  /** Number of codes by length. */
  readonly count: Uint16Array;
  /** Symbols in order of their codes. */
  readonly symbols: Uint16Array;
}

interface Codes {
  readonly literals: Code;
  readonly distances: Code;
  readonly lengths: Uint8Array;
}

// RFC 1951, 3.2.5.
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
] as const;
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
] as const;
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
] as const;
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
] as const;
/** RFC 1951, 3.2.7. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] as const;

function createCodes(): Codes {
  return { literals: code(10, 288), distances: code(8, 32), lengths: new Uint8Array(320) };
}

function code(root: number, symbols: number): Code {
  return {
    root,
    table: new Uint16Array(1 << root),
    count: new Uint16Array(16),
    symbols: new Uint16Array(symbols),
  };
}

/** Holds at least 25 bits, or all that is left. */
function refill(s: State): void {
  while (s.bits <= 24 && s.at < s.input.length) {
    s.hold |= (s.input[s.at++] as number) << s.bits;
    s.bits += 8;
  }
}

/** The next `n` <= 16 bits, or -1 at the end. */
function take(s: State, n: number): number {
  if (s.bits < n) {
    refill(s);
    if (s.bits < n) return -1;
  }
  const value = s.hold & ((1 << n) - 1);
  s.hold >>>= n;
  s.bits -= n;
  return value;
}

function stored(s: State): boolean {
  s.hold >>>= s.bits & 7;
  s.bits -= s.bits & 7;
  const length = take(s, 16);
  const check = take(s, 16);
  if (length < 0 || check < 0 || (length ^ 0xffff) !== check) return false;
  // Give back the whole bytes that were read ahead.
  s.at -= s.bits >> 3;
  s.hold = 0;
  s.bits = 0;
  if (length > s.input.length - s.at || length > s.output.length - s.written) return false;
  s.output.set(s.input.subarray(s.at, s.at + length), s.written);
  s.at += length;
  s.written += length;
  return true;
}

/** RFC 1951, 3.2.6. */
function fixedCodes(): Codes {
  const codes = createCodes();
  const { lengths } = codes;
  lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, 288).fill(5, 288, 320);
  build(codes.literals, lengths, 0, 288, true);
  build(codes.distances, lengths, 288, 32, true);
  return codes;
}

function dynamic(s: State, codes: Codes): boolean {
  const header = take(s, 14);
  if (header < 0) return false;
  const literals = (header & 31) + 257;
  const distances = ((header >> 5) & 31) + 1;
  const used = (header >> 10) + 4;
  // zlib: "too many length or distance symbols".
  if (literals > 286 || distances > 30) return false;
  const { lengths } = codes;
  lengths.fill(0);
  for (let i = 0; i < used; i++) {
    const length = take(s, 3);
    if (length < 0) return false;
    lengths[ORDER[i] as number] = length;
  }
  if (!build(codes.distances, lengths, 0, 19, false)) return false;
  const total = literals + distances;
  lengths.fill(0);
  for (let i = 0; i < total; ) {
    refill(s);
    const symbol = decode(s, codes.distances);
    if (symbol < 0) return false;
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) return false;
    const value = symbol === 16 ? (lengths[i - 1] as number) : 0;
    const extra = take(s, symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    const end = i + extra + (symbol === 18 ? 11 : 3);
    if (extra < 0 || end > total) return false;
    lengths.fill(value, i, end);
    i = end;
  }
  // Without an end of block the stream cannot be right.
  if (lengths[256] === 0) return false;
  return (
    build(codes.literals, lengths, 0, literals, true) &&
    build(codes.distances, lengths, literals, distances, true)
  );
}

/**
 * False for an oversubscribed code, and for an incomplete one except as zlib has it: a code of
 * symbols (not of code lengths) may be one single bit long, or empty, if what is missing is
 * never used.
 */
function build(c: Code, lengths: Uint8Array, from: number, n: number, single: boolean): boolean {
  const { count, symbols, table, root } = c;
  count.fill(0);
  for (let i = 0; i < n; i++) count[lengths[from + i] as number]!++;
  count[0] = 0;
  let longest = 15;
  while (longest > 0 && count[longest] === 0) longest--;
  let left = 1;
  for (let length = 1; length <= 15; length++) {
    left = left * 2 - (count[length] as number);
    if (left < 0) return false;
  }
  if (left > 0 && !(single ? longest <= 1 : longest === 0)) return false;

  const offsets = new Uint16Array(16);
  const next = new Uint16Array(16);
  for (let length = 1, first = 0; length <= 15; length++) {
    next[length] = first;
    first = (first + (count[length] as number)) << 1;
    if (length < 15) offsets[length + 1] = (offsets[length] as number) + (count[length] as number);
  }
  table.fill(0);
  for (let symbol = 0; symbol < n; symbol++) {
    const length = lengths[from + symbol] as number;
    if (length === 0) continue;
    symbols[offsets[length]!++] = symbol;
    const bits = next[length]!++;
    if (length > root) continue;
    const entry = (symbol << 4) | length;
    for (let i = reversed(bits, length); i < table.length; i += 1 << length) table[i] = entry;
  }
  return true;
}

function reversed(bits: number, length: number): number {
  let out = 0;
  for (let i = 0; i < length; i++) out |= ((bits >> i) & 1) << (length - 1 - i);
  return out;
}

/** The next symbol, or -1 for a code that does not exist or does not end. */
function decode(s: State, c: Code): number {
  const entry = c.table[s.hold & (c.table.length - 1)] as number;
  const length = entry & 15;
  if (length === 0) return decodeLong(s, c);
  if (length > s.bits) return -1;
  s.hold >>>= length;
  s.bits -= length;
  return entry >> 4;
}

/** Bit by bit, as codes are numbered (RFC 1951, 3.2.2). */
function decodeLong(s: State, c: Code): number {
  let bits = 0;
  let first = 0;
  let index = 0;
  for (let length = 1; length <= 15 && length <= s.bits; length++) {
    bits |= (s.hold >>> (length - 1)) & 1;
    const count = c.count[length] as number;
    if (bits - first < count) {
      s.hold >>>= length;
      s.bits -= length;
      return c.symbols[index + bits - first] as number;
    }
    index += count;
    first = (first + count) << 1;
    bits <<= 1;
  }
  return -1;
}

/** The hot loop: the state is held in locals, and given back on the way out. */
function compressed(s: State, { literals, distances }: Codes): boolean {
  const { input, output } = s;
  const end = output.length;
  const near = literals.table;
  const nearMask = near.length - 1;
  let { at, hold, bits, written } = s;
  for (;;) {
    while (bits <= 24 && at < input.length) {
      hold |= (input[at++] as number) << bits;
      bits += 8;
    }
    const entry = near[hold & nearMask] as number;
    let symbol = entry >> 4;
    if (entry !== 0) {
      const length = entry & 15;
      if (length > bits) return false;
      hold >>>= length;
      bits -= length;
    } else {
      s.hold = hold;
      s.bits = bits;
      symbol = decodeLong(s, literals);
      hold = s.hold;
      bits = s.bits;
      if (symbol < 0) return false;
    }
    if (symbol < 256) {
      if (written === end) return false;
      output[written++] = symbol;
      continue;
    }
    s.at = at;
    s.hold = hold;
    s.bits = bits;
    s.written = written;
    if (symbol === 256) return true;
    // 286 and 287 have a fixed code and no meaning.
    if (symbol > 285) return false;
    const extra = take(s, LENGTH_EXTRA[symbol - 257] as number);
    refill(s);
    const code = decode(s, distances);
    if (extra < 0 || code < 0 || code > 29) return false;
    const far = take(s, DISTANCE_EXTRA[code] as number);
    const length = (LENGTH_BASE[symbol - 257] as number) + extra;
    const distance = (DISTANCE_BASE[code] as number) + far;
    if (far < 0 || distance > written || length > end - written) return false;
    // Source and target may overlap: byte by byte, forwards.
    const stop = written + length;
    for (let from = written - distance; written < stop; ) output[written++] = output[from++] as number;
    ({ at, hold, bits } = s);
  }
}
