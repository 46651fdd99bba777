/** Whether this machine has a way to its remote, as far as the system tells: what `No network` rests on. */
import { networkInterfaces } from "node:os";
import { isServer } from "./remote.ts";

type Interfaces = ReturnType<typeof networkInterfaces>;

const loopback: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** False only where it is sure: a server elsewhere, and no interface that leads out of this machine. */
export function hasNetwork(
  remote: string | undefined,
  interfaces: () => Interfaces = networkInterfaces,
): boolean {
  if (remote === undefined || !isServer(remote) || loopback.has(new URL(remote).hostname)) return true;
  try {
    return Object.values(interfaces()).some((addresses) => addresses?.some((one) => !one.internal) === true);
  } catch {
    // A system that does not tell is no reason to say that there is none.
    return true;
  }
}
