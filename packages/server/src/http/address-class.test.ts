import { expect, test } from "vitest";
import { callerOf } from "../host/address.ts";
import { addressClass } from "./address-class.ts";

test("[SRV88] of an address an audit row keeps its class, and nothing by which anybody is found", () => {
  const cases: Readonly<Record<string, string>> = {
    "127.0.0.1": "loopback",
    "::1": "loopback",
    "10.1.2.3": "private",
    "172.15.0.1": "ipv4",
    "172.16.0.1": "private",
    "172.32.0.1": "ipv4",
    "192.168.1.9": "private",
    "192.169.1.9": "ipv4",
    "169.254.0.1": "private",
    "100.64.0.1": "private",
    "100.128.0.1": "ipv4",
    "203.0.113.7": "ipv4",
    "::ffff:203.0.113.7": "ipv4",
    "2001:db8::1": "ipv6",
    "fd12:3456::1": "private",
    "fe80::1": "private",
    "fec0::1": "ipv6",
    "a name": "unknown",
    "": "unknown",
  };
  for (const [address, expected] of Object.entries(cases))
    expect([address, addressClass(callerOf(address))]).toEqual([address, expected]);
});
