/** `init`: a new vault on a remote, synced once; the words are shown once, or left on a private sheet. */
import { randomBytes, randomInt } from "node:crypto";
import { hostname } from "node:os";
import { TidelockError } from "@tidelock/core/errors";
import { createClock } from "@tidelock/node/env";
import { readConfig } from "@tidelock/node/home/config";
import { loadSqlite } from "@tidelock/node/home/driver";
import { chooseKeyForm } from "@tidelock/node/home/keys";
import { type Entered, enterVault } from "@tidelock/node/vault/enter";
import { needAnswer, patienceFor } from "@tidelock/node/vault/patient";
import { parseRemote } from "@tidelock/node/vault/remote";
import { hasVault, needEmptyHome, needFreeRemote } from "@tidelock/node/vault/setup";
import { entropyOf, phraseOf, sheetPath } from "@tidelock/node/vault/words";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { ask, fromVariable, registrationOf } from "../secrets.ts";

interface InitOptions {
  readonly remote?: string;
  readonly local?: boolean;
  readonly name: string;
  readonly device?: string;
  readonly keyFromEnv?: string;
  readonly iHaveABackup?: boolean;
  readonly tokenFromEnv?: string;
}

export async function init(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const options = given as unknown as InitOptions;
  const asked = options.remote ?? ctx.env["TIDELOCK_REMOTE"];
  if ((asked === undefined) === (options.local !== true))
    throw new TidelockError("usage", {
      why:
        options.local === true
          ? "--local and --remote exclude each other"
          : "the place for the vault is missing",
      next: "tidelock init --remote DIR, or --remote URL for a server",
    });
  const remote = asked === undefined ? undefined : parseRemote(asked);
  needEmptyHome(ctx.paths);
  const backup = options.iHaveABackup === true;
  const names = {
    vaultName: options.name,
    deviceName: options.device ?? hostname(),
    registration: registrationOf(ctx, options.tokenFromEnv),
  };
  const done =
    options.keyFromEnv !== undefined
      ? await withWords(ctx, options.keyFromEnv, remote, names)
      : await founded(ctx, remote, names, backup);
  report(ctx, done);
}

interface Names {
  readonly vaultName: string;
  readonly deviceName: string;
  readonly registration: Uint8Array | undefined;
}

/** The first machine founds, every other with the same words joins: unattended. */
async function withWords(
  ctx: Context,
  variable: string,
  remote: string | undefined,
  names: Names,
): Promise<Entered> {
  const entropy = entropyOf(fromVariable(ctx, variable, "--key-from-env"));
  const joins =
    remote !== undefined &&
    (await hasVault({ clock: createClock(), timeoutMs: ctx.timeoutMs }, remote, entropy, names.registration));
  return enterVault(
    options(ctx),
    joins
      ? { kind: "join", remote, entropy, ...names }
      : { kind: "found", remote, entropy, ...names, sheet: undefined },
  );
}

async function founded(
  ctx: Context,
  remote: string | undefined,
  names: Names,
  backup: boolean,
): Promise<Entered> {
  // Refused before a person has written down 24 words.
  if (remote !== undefined) {
    await needAnswer(remote, patienceFor(remote, ctx.timeoutMs));
    needFreeRemote(remote);
  }
  loadSqlite();
  await chooseKeyForm(ctx.connect("init").keys);
  const entropy = new Uint8Array(randomBytes(32));
  const words = phraseOf(entropy);
  if (ctx.interactive) await showWords(ctx, words, backup);
  return enterVault(options(ctx), {
    kind: "found",
    remote,
    entropy,
    ...names,
    sheet: ctx.interactive ? undefined : words,
  });
}

function options(ctx: Context): Parameters<typeof enterVault>[0] {
  const { paths, keys } = ctx.connect("init");
  return { paths, keys, timeoutMs: ctx.timeoutMs };
}

async function showWords(ctx: Context, words: readonly string[], backup: boolean): Promise<void> {
  const rows = Array.from({ length: 6 }, (_, row) =>
    [0, 6, 12, 18].map((start) => `${String(start + row + 1).padStart(2)} ${words[start + row] ?? ""}`),
  );
  ctx.out.warn("Your recovery words. They are shown once; they open the vault on a new device.");
  ctx.out.warn("Without them and without a working device nobody can open it. Write them down.\n");
  for (const line of columns(rows)) ctx.out.warn(`  ${line}`);
  ctx.out.warn("");
  if (backup) return;
  const left = new Set(words.keys());
  for (let n = 0; n < 3; n++) {
    const index = [...left][randomInt(left.size)] as number;
    left.delete(index);
    for (let tries = 3; ; tries--) {
      const answer = await ask(ctx, `Word ${index + 1}: `);
      if (answer.trim().toLowerCase() === words[index]) break;
      if (tries === 1)
        throw new TidelockError("cancelled", {
          why: "the words were not repeated; nothing was founded",
          next: "tidelock init again, with new words",
        });
      ctx.out.warn("That is another word.");
    }
  }
}

function report(ctx: Context, done: Entered): void {
  const value = {
    vault: done.vault,
    name: done.name,
    device: done.device,
    deviceName: done.deviceName,
    founded: done.founded,
    ...(done.remote === undefined ? {} : { remote: done.remote }),
    ...(done.sheet ? { sheet: sheetPath(ctx.paths) } : {}),
    head: done.head,
    home: ctx.paths.root,
  };
  ctx.out.data("Init", value, () =>
    columns([
      ["Vault", `${done.name} (${done.vault.slice(0, 16)})`],
      ["Device", done.deviceName],
      ["Remote", done.remote ?? "none: it stays on this device"],
      ["Home", ctx.paths.root],
    ]),
  );
  if (done.sheet) {
    ctx.out.warn(`The recovery words wait in ${sheetPath(ctx.paths)}`);
    ctx.out.warn("Write them down, keep them safe, then delete that file.");
  }
  if (readConfig(ctx.paths).vaults[0]?.keys === "plain")
    ctx.out.warn("This device's keys lie in a plain file, as you chose with --insecure-key-file.");
  ctx.out.note("next: tidelock db attach app.db, or tidelock drive add FOLDER");
}
