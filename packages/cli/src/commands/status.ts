/** `status`, `pause`, `resume`: one line that says how the vault is, why, and what to do. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { VaultStatus } from "@tidelock/node/vault/status";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { columns } from "../output.ts";

/** Ends with the state's own code. */
export async function status(ctx: Context, options: Record<string, unknown>): Promise<number> {
  const { after } = options;
  if (options["follow"] === true) return follow(ctx, typeof after === "string" ? after : undefined);
  const found = await look(ctx);
  show(ctx, found);
  if (found.running === false && found.remote !== undefined && found.databases + found.folders > 0)
    ctx.out.note("  nothing keeps it in sync just now: tidelock daemon run");
  return found.exit;
}

/** Until it is interrupted, or the daemon ends. */
async function follow(ctx: Context, after: string | undefined): Promise<never> {
  const { daemonClient } = await import("@tidelock/node/daemon/connect");
  const { NoDaemon } = await import("@tidelock/node/daemon/client");
  const none = { why: "no daemon runs here", next: "tidelock daemon run, or status without --follow" };
  const client = daemonClient(ctx.paths, { waitMs: ctx.timeoutMs });
  let told = false;
  try {
    await client?.info();
    await client?.follow((found, id) => {
      told = true;
      ctx.out.data("Status", { ...found, id }, () => [`${new Date().toISOString()}  ${line(found)}`]);
    }, after);
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    if (told) throw new TidelockError("in-use", { why: "the daemon has ended", next: "tidelock daemon run" });
  }
  throw new TidelockError("not-found", none);
}

export async function pause(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const { for: text } = options;
  const wish =
    typeof text === "string"
      ? { forMs: duration(text, "--for wants a number with s, m, h or d", "tidelock pause --for 2h") }
      : {};
  show(ctx, await withVault(ctx.connect("pause"), (vault) => vault.pause(wish)));
}

export async function resume(ctx: Context): Promise<undefined> {
  show(ctx, await withVault(ctx.connect("resume"), (vault) => vault.resume()));
}

function show(ctx: Context, found: VaultStatus): void {
  ctx.out.data("Status", found, () => [line(found), ...(ctx.out.verbose ? details(found) : [])]);
  if (found.conflicts > 0) ctx.out.note("  conflicts are told by: tidelock conflicts ls");
  for (const issue of found.issues) ctx.out.note(`  ${issue.code}: ${issue.why}\n    next: ${issue.next}`);
}

async function look(ctx: Context): Promise<VaultStatus> {
  try {
    return await withVault(ctx.connect("status"), (vault) => vault.status());
  } catch (error) {
    // States like any other, with labels of their own.
    if (!(error instanceof TidelockError) || (error.code !== "keyring" && error.code !== "stalled"))
      throw error;
    const { vaultOf } = await import("@tidelock/node/vault/session");
    const { lockedStatus, silentStatus } = await import("@tidelock/node/vault/status");
    const bare = error.code === "keyring" ? lockedStatus : silentStatus;
    return bare(vaultOf(ctx.paths, ctx.vault), error);
  }
}

/** While something is under way there is no label, but a terminal has no spinner either. */
function line(s: VaultStatus): string {
  const label = s.label === "" ? (s.code === "connecting" ? "Connecting" : "Syncing") : s.label;
  const action = s.action === undefined ? "" : `  (${s.action})`;
  return `${label}${s.detail === undefined ? "" : `: ${s.detail}`}${action}`;
}

function details(s: VaultStatus): string[] {
  const rows: [string, string | number | undefined][] = [
    ["vault", s.vault],
    ["device", s.device],
    ["devices", s.devices],
    ["encryption", s.encryption],
    ["remote", s.remote],
    ["last sync", s.lastSync],
    ["last upload", s.lastUpload],
    ["last download", s.lastDownload],
    ["waiting to go", s.pendingUp],
    ["waiting to come", s.pendingDown],
    ["conflicts", s.conflicts],
    ["paused until", s.pausedUntil],
    ["withheld deletions", s.withheldDeletions],
    ["databases", s.databases],
    ["folders", s.folders],
    ["entry", s.seq],
    ["chain", s.head],
    ["state", s.fingerprint],
  ];
  return columns(
    rows.flatMap(([name, value]) => (value === undefined ? [] : [[`  ${name}`, String(value)]])),
  );
}
