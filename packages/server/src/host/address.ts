/** Who a request counts as for limits. Never stored, never logged. */
import type { IncomingMessage } from "node:http";
import { isIPv4, isIPv6 } from "node:net";

/**
 * The address of the other end; behind a proxy, the one that the proxy adds last, since those
 * before it are the caller's own word. Of IPv6 the first 64 bits: the rest is the caller's to choose.
 */
export function addressOf(request: IncomingMessage, proxied: boolean): string {
  const direct = request.socket.remoteAddress ?? "";
  const { "x-forwarded-for": forwarded } = request.headers;
  const told = typeof forwarded === "string" ? forwarded.split(",").at(-1)?.trim() : undefined;
  return callerOf(proxied && told !== undefined && told !== "" ? told : direct);
}

export function callerOf(text: string): string {
  const address = text.replace(/^\[|\](?::\d+)?$/g, "").replace(/%.*$/, "");
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const withoutPort = address.replace(/^([\d.]+):\d+$/, "$1");
  if (isIPv4(withoutPort)) return withoutPort;
  if (!isIPv6(address)) return "unknown";
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const groups = tail === undefined ? before : [...before, ...zeros, ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
