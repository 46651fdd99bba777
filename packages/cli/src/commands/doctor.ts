/** `doctor`: every part looked at, each with what to do. `debug bundle`: that, for somebody who helps. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { VaultService } from "@tidelock/node/daemon/service";
import { type BundleParts, bundleOf, readEvents } from "@tidelock/node/doctor/bundle";
import { type Finding, failBy, warn } from "@tidelock/node/doctor/finding";
import { machineFindings } from "@tidelock/node/doctor/machine";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { version } from "../version.ts";

export async function doctor(ctx: Context): Promise<number | undefined> {
  ctx.out.progress("looking …");
  const { findings } = await lookAtAll(ctx, async () => ({}));
  const failed = findings.some((one) => one.state === "fail");
  ctx.out.data("DoctorReport", { healthy: !failed, findings }, () => [
    ...columns(findings.map((one) => [one.state, one.name, one.fact])),
    ...findings.flatMap((one) => (one.next === undefined ? [] : [`  ${one.name}: ${one.next}`])),
  ]);
  return failed ? 1 : undefined;
}

export async function bundle(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  ctx.out.progress("looking …");
  const made = new Date().toISOString();
  const parts = { ...(await lookAtAll(ctx, inside)), version, made, log: readEvents(ctx.paths) };
  const content = bundleOf(parts);
  const sections = Object.keys(content);
  const { out } = options;
  const path = resolve(
    typeof out === "string" ? out : `tidelock-debug-${made.replaceAll(/[-:]|\.\d+/g, "")}.json`,
  );
  ctx.out.note(
    `It holds ${sections.join(", ")}: no keys, names, paths or contents. Read it before you send it.`,
  );
  writeNew(path, `${JSON.stringify(content, null, 2)}\n`);
  ctx.out.data("Bundle", { path, sections }, () => [path]);
}

type Inside = Pick<BundleParts, "status" | "issues" | "queue" | "databases">;

async function inside(vault: VaultService): Promise<Inside> {
  return {
    status: await vault.status(),
    issues: await vault.issues({ all: true }),
    queue: await vault.queue(),
    databases: await vault.databases(),
  };
}

/** Whatever of the vault cannot be had is a finding itself. */
async function lookAtAll(
  ctx: Context,
  more: (vault: VaultService) => Promise<Inside>,
): Promise<Inside & { readonly findings: readonly Finding[] }> {
  const machine = await machineFindings(ctx.paths);
  try {
    return await withVault(ctx.connect("doctor"), async (vault) => ({
      findings: [...machine, ...(await vault.doctor())],
      ...(await more(vault)),
    }));
  } catch (error) {
    return { findings: [...machine, vaultFinding(error)] };
  }
}

function vaultFinding(error: unknown): Finding {
  if (error instanceof TidelockError && error.code === "not-configured")
    return warn("vault", "none is set up here", error.next);
  return failBy("vault", error);
}

/** Never over something that is there, and for this user alone. */
function writeNew(path: string, text: string): void {
  try {
    const fd = openSync(path, "wx", 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOSPC") throw new TidelockError("disk-full", { why: `no room for ${path}`, cause });
    throw new TidelockError(code === "EEXIST" ? "exists" : "usage", {
      why:
        code === "EEXIST" ? `${path} is there already` : `${path} cannot be written (${code ?? "unknown"})`,
      next: "name another file with --out",
      cause,
    });
  }
}
