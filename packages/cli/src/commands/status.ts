/** `status`: one line that says how the vault is, why, and what to do. Ends with the state's own code. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { VaultStatus } from "@tidelock/node/vault/status";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function status(ctx: Context): Promise<number> {
  const found = await look(ctx);
  ctx.out.data("Status", found, () => [line(found), ...(ctx.out.verbose ? details(found) : [])]);
  for (const issue of found.issues) ctx.out.note(`  ${issue.why}: ${issue.next}`);
  if (found.running === false && found.remote !== undefined && found.databases > 0)
    ctx.out.note("  nothing keeps it in sync just now: tidelock daemon run");
  return found.exit;
}

async function look(ctx: Context): Promise<VaultStatus> {
  try {
    return await withVault(ctx.connect("status"), (vault) => vault.status());
  } catch (error) {
    if (!(error instanceof TidelockError) || error.code !== "keyring") throw error;
    // A state like any other, with its own label.
    const { vaultOf } = await import("@tidelock/node/vault/session");
    const { lockedStatus } = await import("@tidelock/node/vault/status");
    return lockedStatus(vaultOf(ctx.paths, ctx.vault), error);
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
    ["withheld deletions", s.withheldDeletions],
    ["databases", s.databases],
    ["entry", s.seq],
    ["chain", s.head],
    ["state", s.fingerprint],
  ];
  return columns(
    rows.flatMap(([name, value]) => (value === undefined ? [] : [[`  ${name}`, String(value)]])),
  );
}
