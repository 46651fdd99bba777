/** How much of an address an audit row keeps: enough to tell inside from outside, too little to find anybody. */
export type AddressClass = "loopback" | "private" | "ipv4" | "ipv6" | "unknown";

/** `address` as a host gives it: IPv4, or the first four groups of IPv6. */
export function addressClass(address: string): AddressClass {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}$/.exec(address);
  if (v4 !== null) {
    const [a, b] = [Number(v4[1]), Number(v4[2])];
    if (a === 127) return "loopback";
    // RFC 1918, RFC 3927, RFC 6598.
    const inside =
      a === 10 ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 169 && b === 254) ||
      (a === 100 && b >= 64 && b < 128);
    return inside ? "private" : "ipv4";
  }
  if (!/^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){3}$/.test(address)) return "unknown";
  if (address === "0:0:0:0") return "loopback";
  // RFC 4193 and link-local addresses.
  return /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/.test(address) ? "private" : "ipv6";
}
