/** `join`: this device into a vault by its words, or by an invite. A copied or restored home becomes a device of its own. */
import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { fromHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { parseInvite } from "@tidelock/core/vault/invite";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { readConfig } from "@tidelock/node/home/config";
import { type Entered, enterVault } from "@tidelock/node/vault/enter";
import { parseRemote } from "@tidelock/node/vault/remote";
import { entropyOf, phraseOf, readSheet, sheetPath } from "@tidelock/node/vault/words";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { ask, fromFile, fromVariable, registrationOf } from "../secrets.ts";

interface JoinOptions {
  readonly remote?: string;
  readonly words?: boolean;
  readonly wordsFromEnv?: string;
  readonly wordsFile?: string;
  readonly device?: string;
  readonly tokenFromEnv?: string;
  readonly code?: boolean;
  readonly codeFromEnv?: string;
  readonly codeFile?: string;
  readonly name?: string;
}

export async function join(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const options = given as unknown as JoinOptions;
  const code = await codeOf(ctx, options);
  report(ctx, await (code === undefined ? byWords(ctx, options) : byInvite(ctx, options, code)));
}

/** As a new person, whose words are left on a sheet; or as the one of the words that are given. */
async function byInvite(ctx: Context, options: JoinOptions, code: string): Promise<Entered> {
  const { suite } = await loadSuite();
  const link = parseInvite(suite, code);
  if (link === null) throw new TidelockError("code-wrong", { why: "this is no invite" });
  const remote = parseRemote(link.remote);
  const { paths, keys } = ctx.connect("join");
  const begun = readSheet(paths);
  const given = options.wordsFromEnv !== undefined || options.wordsFile !== undefined;
  const words = given ? await wordsOf(ctx, options) : begun;
  const entropy = words === undefined ? new Uint8Array(randomBytes(32)) : entropyOf(words);
  ctx.out.note(
    "Waiting until a device of the owner or an admin lets you in. Ctrl-C ends it; the same command goes on.",
  );
  return enterVault(
    { paths, keys, timeoutMs: ctx.timeoutMs },
    {
      kind: "accept",
      link,
      remote,
      registration: registrationOf(ctx, options.tokenFromEnv),
      name: options.name ?? userInfo().username,
      deviceName: options.device ?? hostname(),
      entropy,
      sheet: given ? undefined : phraseOf(entropy),
    },
  );
}

async function byWords(ctx: Context, options: JoinOptions): Promise<Entered> {
  const asked = options.remote ?? ctx.env["TIDELOCK_REMOTE"];
  if (asked === undefined)
    throw new TidelockError("usage", {
      why: "the place of the vault is missing",
      next: "tidelock join --remote DIR --words, or --remote URL for a server",
    });
  const remote = parseRemote(asked);
  const entropy = entropyOf(await wordsOf(ctx, options));
  const { paths, keys } = ctx.connect("join");
  return enterVault(
    { paths, keys, timeoutMs: ctx.timeoutMs },
    {
      kind: "join",
      remote,
      registration: registrationOf(ctx, options.tokenFromEnv),
      entropy,
      deviceName: options.device ?? hostname(),
      expected: expectedVault(ctx.vault),
    },
  );
}

function report(ctx: Context, done: Entered): undefined {
  const { paths } = ctx;
  const remote = done.remote ?? "";
  const value = {
    vault: done.vault,
    name: done.name,
    device: done.device,
    deviceName: done.deviceName,
    remote,
    head: done.head,
    home: paths.root,
    ...(done.sheet ? { sheet: sheetPath(paths) } : {}),
  };
  ctx.out.data("Join", value, () =>
    columns([
      ["Vault", `${done.name} (${done.vault.slice(0, 16)})`],
      ["Device", done.deviceName],
      ["Remote", remote],
      ["Home", paths.root],
    ]),
  );
  if (done.sheet) {
    ctx.out.warn(`Your recovery words wait in ${sheetPath(paths)}`);
    ctx.out.warn("Write them down, keep them safe, then delete that file.");
  }
  if (readConfig(paths).vaults[0]?.keys === "plain")
    ctx.out.warn("This device's keys lie in a plain file, as you chose with --insecure-key-file.");
  ctx.out.note("next: tidelock db attach app.db, or tidelock drive add FOLDER   (an empty one is filled)");
}

async function codeOf(ctx: Context, options: JoinOptions): Promise<string | undefined> {
  if (options.codeFromEnv !== undefined) return fromVariable(ctx, options.codeFromEnv, "--code-from-env");
  if (options.codeFile !== undefined) return fromFile(ctx, options.codeFile);
  if (options.code !== true) return undefined;
  if (ctx.interactive) return ask(ctx, "The invite's code: ");
  throw new TidelockError("usage", {
    why: "the code is missing, and nobody can be asked",
    next: "give it by --code-from-env VAR or --code-file PATH",
  });
}

async function wordsOf(ctx: Context, options: JoinOptions): Promise<string> {
  if (options.wordsFromEnv !== undefined) return fromVariable(ctx, options.wordsFromEnv, "--words-from-env");
  if (options.wordsFile !== undefined) return fromFile(ctx, options.wordsFile);
  if (ctx.interactive) return ask(ctx, "The 24 recovery words: ");
  throw new TidelockError("usage", {
    why: "the words are missing, and nobody can be asked",
    next: "give them by --words-from-env VAR or --words-file PATH",
  });
}

/** `--vault` must name a whole id here: what has not been seen yet cannot be known by its beginning. */
function expectedVault(named: string | undefined): Uint8Array | undefined {
  if (named === undefined) return undefined;
  const id = fromHex(named);
  if (id?.length === 32) return id;
  throw new TidelockError("usage", {
    why: "--vault wants the whole id here, 64 digits",
    next: "leave --vault out",
  });
}
