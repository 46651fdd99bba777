/**
 * Whether a home is still where it was made. A copy runs on another machine, or its files are
 * other files: then it would use this device's numbers a second time, so it must not send.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";

export interface Placement {
  /** Hash of the machine's id; empty where the system tells none. */
  readonly machine: Uint8Array;
  /** Inodes of the lock file and of the replica. */
  readonly lock: bigint;
  readonly replica: bigint;
}

export function placementOf(
  lock: string,
  replica: string,
  machine: string | undefined = machineId(),
): Placement {
  return {
    machine: machine === undefined ? new Uint8Array(0) : hashed(machine),
    lock: statSync(lock, { bigint: true }).ino,
    replica: statSync(replica, { bigint: true }).ino,
  };
}

/**
 * One of the two files may have been made anew (a cleaned `run` folder, a restored replica, which
 * shows by its numbers later); both at once are a copy.
 */
export function isCopied(then: Placement, now: Placement): boolean {
  if (then.machine.length > 0 && now.machine.length > 0 && Buffer.compare(then.machine, now.machine) !== 0)
    return true;
  return then.lock !== now.lock && then.replica !== now.replica;
}

export function encodePlacement(p: Placement): Uint8Array {
  return new Writer(64).u8(1).bytes(p.machine).bytes(inode(p.lock)).bytes(inode(p.replica)).done();
}

export function parsePlacement(bytes: Uint8Array): Placement {
  const r = new Reader(bytes);
  r.u8();
  return { machine: r.bytes(32).slice(), lock: number(r.bytes(8)), replica: number(r.bytes(8)) };
}

function inode(n: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, n));
  return new Uint8Array(bytes);
}

function number(bytes: Uint8Array): bigint {
  return Buffer.from(bytes).readBigUInt64BE();
}

/** Hashed: the plain id of a machine is not for files that may be copied. */
function hashed(machine: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update("tidelock machine ").update(machine).digest());
}

function machineId(): string | undefined {
  try {
    return read();
  } catch {
    return undefined; // a container or a stripped system: the inodes alone must do
  }
}

function read(): string | undefined {
  if (process.platform === "linux") return readFileSync("/etc/machine-id", "utf8").trim() || undefined;
  if (process.platform === "darwin") {
    const text = execFileSync("/usr/sbin/ioreg", ["-rd1", "-c", "IOPlatformExpertDevice"], {
      encoding: "utf8",
    });
    return /"IOPlatformUUID" = "([^"]+)"/.exec(text)?.[1];
  }
  if (process.platform === "win32") {
    const key = "HKLM\\SOFTWARE\\Microsoft\\Cryptography";
    const text = execFileSync("reg", ["query", key, "/v", "MachineGuid"], {
      encoding: "utf8",
      windowsHide: true,
    });
    return /MachineGuid\s+REG_SZ\s+(\S+)/.exec(text)?.[1];
  }
  return undefined;
}
