/** Small helpers over `Uint8Array`, none of which keeps state. */

export const EMPTY: Uint8Array = new Uint8Array(0);

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Plain comparison of public bytes. Secrets are compared by `Suite.equal`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  const n = a.length;
  if (n !== b.length) return false;
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Lexicographic order, the order of SQLite BLOB keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = a.length < b.length ? a.length : b.length;
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number);
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

/** The least key greater than every key that starts with `prefix`; undefined when there is none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const out = prefix.slice(0, end);
  out[end - 1] = (out[end - 1] as number) + 1;
  return out;
}

/** Of each byte: ids are written so often that two look-ups a byte would be felt. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i++) out += HEX[bytes[i] as number] as string;
  return out;
}

/** What a person compares of an id. */
export function fingerprint(id: Uint8Array): string {
  return toHex(id.subarray(0, 8));
}

/** Undefined unless `text` is an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Short ASCII, most names and keys, costs no call out of the engine. */
export function encodeUtf8(text: string): Uint8Array {
  const n = text.length;
  if (n > 48) return utf8.encode(text);
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return utf8.encode(text);
    out[i] = unit;
  }
  return out;
}

/** Undefined for bytes that are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A key of eight bytes that sorts like the number (0 .. 2^53 - 1). */
export function u64Key(n: number): Uint8Array {
  const out = new Uint8Array(8);
  putU32(out, 0, Math.floor(n / 0x1_0000_0000));
  putU32(out, 4, n);
  return out;
}

/** The low 32 bits of `n`, big-endian. A `DataView` would cost more than all of it. */
export function putU32(out: Uint8Array, at: number, n: number): void {
  out[at] = n >>> 24;
  out[at + 1] = n >>> 16;
  out[at + 2] = n >>> 8;
  out[at + 3] = n;
}

export function readU64Key(bytes: Uint8Array, at = 0): number {
  if (bytes.length < at + 8) throw new RangeError("a key of eight bytes ends early");
  return readU32(bytes, at) * 0x1_0000_0000 + readU32(bytes, at + 4);
}

/** Big-endian, of bytes that are there. */
export function readU32(bytes: Uint8Array, at: number): number {
  const [a, b] = [bytes[at] as number, bytes[at + 1] as number];
  const [c, d] = [bytes[at + 2] as number, bytes[at + 3] as number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
