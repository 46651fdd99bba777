/** base64url without padding (RFC 4648, section 5): how ids and small bytes travel in addresses and JSON. */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Above every digit: what is none. */
const NONE = 64;
/** By the code of a character below 128. */
const VALUES: Uint8Array = new Uint8Array(128).fill(NONE);
for (let i = 0; i < DIGITS.length; i++) VALUES[DIGITS.charCodeAt(i)] = i;

export function toBase64Url(bytes: Uint8Array): string {
  const n = bytes.length;
  let out = "";
  let i = 0;
  for (; i + 2 < n; i += 3) {
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    out += digit(word >> 18) + digit(word >> 12) + digit(word >> 6) + digit(word);
  }
  if (i === n) return out;
  const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8);
  out += digit(word >> 18) + digit(word >> 12);
  return i + 1 === n ? out : out + digit(word >> 6);
}

function digit(value: number): string {
  return DIGITS[value & 63] as string;
}

/** Undefined for anything but the one spelling of some bytes: an id has one address. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let at = 0;
  let word = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? NONE;
    if (value === NONE) return undefined;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 0xff;
    }
  }
  return (word & ((1 << bits) - 1)) === 0 ? out : undefined;
}
