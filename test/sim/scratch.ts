/** Folders of this process that end with it. Its threads share them. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const name = `tidelock-sim-${process.pid}`;

export function scratch(): string {
  return join(tmpdir(), name);
}

/** For what databases are on: in memory where there is such a place, since durability is the world's to give. */
export function disks(): string {
  return join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), `${name}-disks`);
}
