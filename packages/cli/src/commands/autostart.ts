/** `daemon enable`, `daemon disable`: as a service of this user, after asking. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { TidelockError } from "@tidelock/core/errors";
import { type Autostart, autostartOf, type Command } from "@tidelock/node/daemon/autostart";
import { writeWhole } from "@tidelock/node/home/files";
import { vaultOf } from "@tidelock/node/vault/session";
import type { Context } from "../context.ts";
import { ask } from "../secrets.ts";

const PATIENCE = 30_000;

export async function enable(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const info = vaultOf(ctx.paths, ctx.vault);
  const passphraseFile = ctx.env["TIDELOCK_PASSPHRASE_FILE"];
  if (info.keys === "passphrase" && (passphraseFile ?? "") === "")
    throw new TidelockError("keyring", {
      why: "nobody gives a service the passphrase of these keys",
      next: "keep it in a file of mode 0600, name that in TIDELOCK_PASSPHRASE_FILE, and enable again",
    });
  const found = autostart(ctx, info.keys === "passphrase" ? passphraseFile : undefined);
  if (options["print"] === true) {
    const { path, text } = found;
    ctx.out.data("Autostart", { path, text, enabled: isEnabled(found) }, () => [
      `# ${path}`,
      ...text.trimEnd().split("\n"),
    ]);
    return;
  }
  await agreed(ctx, found);
  const before = existsSync(found.path) ? readFileSync(found.path) : undefined;
  mkdirSync(dirname(found.path), { recursive: true });
  writeWhole(found.path, found.text, 0o644);
  try {
    for (const command of found.enable) await run(ctx, command);
  } catch (error) {
    // As it was: a unit that nobody started is not left for the next login to find.
    if (before === undefined) rmSync(found.path, { force: true });
    else writeWhole(found.path, before, 0o644);
    throw error;
  }
  ctx.out.data("Autostart", { path: found.path, text: found.text, enabled: true }, () => [
    `Tidelock starts when you log in, and runs now (${found.path})`,
  ]);
}

export async function disable(ctx: Context): Promise<undefined> {
  const found = autostart(ctx, undefined);
  const was = isEnabled(found);
  if (was) {
    for (const command of found.disable) await run(ctx, command);
    rmSync(found.path, { force: true });
  }
  ctx.out.data("Autostart", { path: found.path, text: "", enabled: false }, () => [
    was ? "Tidelock no longer starts by itself" : "it was not enabled",
  ]);
}

/** Undefined on a system that Tidelock writes no service for. */
export function enabledHere(ctx: Context): boolean | undefined {
  try {
    return isEnabled(autostart(ctx, undefined));
  } catch {
    return undefined;
  }
}

function autostart(ctx: Context, passphraseFile: string | undefined): Autostart {
  const script = process.argv[1];
  if (script === undefined)
    throw new TidelockError("internal", { why: "this process was not started from a script" });
  return autostartOf(
    {
      node: process.execPath,
      script: realpathSync(script),
      paths: ctx.paths,
      passphraseFile: passphraseFile === undefined ? undefined : resolve(passphraseFile),
    },
    { platform: process.platform, env: ctx.env, uid: process.getuid?.() ?? 0 },
  );
}

function isEnabled(found: Autostart): boolean {
  return existsSync(found.path);
}

async function agreed(ctx: Context, found: Autostart): Promise<void> {
  if (ctx.yes) return;
  if (!ctx.interactive)
    throw new TidelockError("usage", {
      why: `this would write ${found.path} and start it`,
      next: "tidelock daemon enable --yes, or --print to see it first",
    });
  ctx.out.warn(`${found.path}\n\n${found.text}`);
  const answer = await ask(ctx, "Write this file, and start it now? [y/N] ");
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new TidelockError("cancelled", { why: "nothing was written", next: "tidelock daemon run" });
}

async function run(ctx: Context, { program, args, optional }: Command): Promise<void> {
  try {
    await promisify(execFile)(program, [...args], {
      env: { ...ctx.env },
      timeout: PATIENCE,
      windowsHide: true,
    });
  } catch (cause) {
    if (optional === true) return;
    const { code } = cause as { code?: unknown };
    throw new TidelockError("not-found", {
      why: `${program} ${args.join(" ")} ended with ${String(code)}: no service manager of this user answers`,
      next: "tidelock daemon run, or tidelock daemon enable --print for a manager of your own",
      cause,
    });
  }
}
