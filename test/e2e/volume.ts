/** Real small disks, and real calls that fail: only where whoever runs the tests may have them. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An ext4 of its own, in a file. */
export interface Volume {
  /** Where it is mounted. */
  readonly path: string;
  mount(): void;
  unmount(): void;
  readOnly(yes: boolean): void;
  remove(): void;
}

export function makeVolume(
  folder: string,
  name: string,
  mib: number,
  path: string = join(folder, name),
): Volume {
  const image = join(folder, `${name}.img`);
  writeFileSync(image, "");
  truncateSync(image, mib << 20);
  execFileSync("mkfs.ext4", ["-q", "-F", "-m", "0", image]);
  mkdirSync(path, { recursive: true });
  const mount = (): void => void execFileSync("mount", ["-o", "loop", image, path]);
  const unmount = (): void => {
    // Somebody may be reading there just now.
    for (let tries = 0; spawnSync("umount", [path]).status !== 0; tries++)
      if (tries > 200) throw new Error(`${path} stays busy`);
  };
  let mounted = true;
  mount();
  rmSync(join(path, "lost+found"), { recursive: true });
  return {
    path,
    mount() {
      mount();
      mounted = true;
    },
    unmount() {
      unmount();
      mounted = false;
    },
    readOnly: (yes) => void execFileSync("mount", ["-o", `remount,${yes ? "ro" : "rw"}`, path]),
    remove() {
      if (mounted) unmount();
      rmSync(image, { force: true });
    },
  };
}

/** Why something cannot be done here, by trying it; undefined where it can. */
export function whyNotVolumes(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "tidelock-volume-"));
  try {
    makeVolume(folder, "probe", 8).remove();
    return undefined;
  } catch (error) {
    return `no loop volume: ${firstLine(error)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function whyNotStrace(): string | undefined {
  const ran = spawnSync("strace", [
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    "inject=fsync:error=EIO",
    "true",
  ]);
  return ran.status === 0 ? undefined : `no strace: ${firstLine(ran.error ?? ran.stderr)}`;
}

/** Names with limits of their own, as in a container. */
export function whyNotUserns(): string | undefined {
  if (!existsSync("/proc/sys/user/max_inotify_watches")) return "no limit of watches for each user";
  const ran = spawnSync("unshare", ["-U", "-r", "true"]);
  return ran.status === 0 ? undefined : `no user namespace: ${firstLine(ran.error ?? ran.stderr)}`;
}

/** Titles say what was not shown, and so does the log of the run. */
export function skipped(title: string, why: string | undefined): string {
  if (why === undefined) return title;
  process.stderr.write(`SKIPPED ${title}: ${why}\n`);
  return `${title} (skipped: ${why})`;
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0] ?? "";
}
