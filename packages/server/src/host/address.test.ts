import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { addressOf, callerOf } from "./address.ts";

const request = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
  }) as never;

test("[SRV53] behind a proxy a caller is who the proxy says last; without one, its word is not asked", () => {
  const told = request("127.0.0.1", "203.0.113.9, 198.51.100.7");
  expect(addressOf(told, true)).toBe("198.51.100.7");
  expect(addressOf(told, false)).toBe("127.0.0.1");
  expect(addressOf(request("127.0.0.1"), true)).toBe("127.0.0.1");
  expect(addressOf(request("127.0.0.1", ""), true)).toBe("127.0.0.1");
});

test("[SRV53] an IPv6 caller is its network of 64 bits, however it is spelled, and an IPv4 one its address", () => {
  const same = [
    "2001:db8:0:1::1",
    "2001:0db8:0000:0001:ffff::",
    "2001:DB8:0:1:2:3:4:5",
    "[2001:db8:0:1::1]:443",
  ];
  expect(new Set(same.map(callerOf))).toEqual(new Set(["2001:db8:0:1"]));
  expect(callerOf("::1")).toBe("0:0:0:0");
  expect(callerOf("fe80::1%eth0")).toBe("fe80:0:0:0");
  for (const text of ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1:4711"])
    expect(callerOf(text)).toBe("192.0.2.1");
  expect(callerOf("nonsense")).toBe("unknown");
});
