/** `join`: this device into a vault by its words. A copied or restored home becomes a device of its own. */
import { hostname } from "node:os";
import { fromHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { readConfig } from "@tidelock/node/home/config";
import { enterVault } from "@tidelock/node/vault/enter";
import { parseRemote } from "@tidelock/node/vault/remote";
import { entropyOf } from "@tidelock/node/vault/words";
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
}

export async function join(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const options = given as unknown as JoinOptions;
  const asked = options.remote ?? ctx.env["TIDELOCK_REMOTE"];
  if (asked === undefined)
    throw new TidelockError("usage", {
      why: "the place of the vault is missing",
      next: "tidelock join --remote DIR --words, or --remote URL for a server",
    });
  const remote = parseRemote(asked);
  const entropy = entropyOf(await wordsOf(ctx, options));
  const { paths, keys } = ctx.connect("join");
  const done = await enterVault(
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
  const value = {
    vault: done.vault,
    name: done.name,
    device: done.device,
    deviceName: done.deviceName,
    remote,
    head: done.head,
    home: paths.root,
  };
  ctx.out.data("Join", value, () =>
    columns([
      ["Vault", `${done.name} (${done.vault.slice(0, 16)})`],
      ["Device", done.deviceName],
      ["Remote", remote],
      ["Home", paths.root],
    ]),
  );
  if (readConfig(paths).vaults[0]?.keys === "plain")
    ctx.out.warn("This device's keys lie in a plain file, as you chose with --insecure-key-file.");
  ctx.out.note("next: tidelock db attach app.db   (an empty path is filled)");
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
