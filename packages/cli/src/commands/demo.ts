/**
 * `demo`: a server, two devices and a sample database on this machine; with `--folder`, a folder in place of the
 * server. Made once; a second start goes on with them. On a terminal the server stays, with both devices beside it,
 * until Ctrl-C; else it ends by itself.
 */
import { join, relative } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { readConfig } from "@tidelock/node/home/config";
import { privateFolder } from "@tidelock/node/home/files";
import { homePaths } from "@tidelock/node/home/paths";
import { isServer } from "@tidelock/node/vault/remote";
import { sheetPath } from "@tidelock/node/vault/words";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { type Place, type Played, play, type Stage } from "./demo-devices.ts";

interface DemoOptions {
  readonly folder?: boolean;
  readonly stay?: boolean;
}

export async function demo(ctx: Context, given: Record<string, unknown>, dir?: string): Promise<undefined> {
  const { folder: byFolder = false, stay = ctx.interactive } = given as DemoOptions;
  const folder = here(dir ?? join(".tidelock", byFolder ? "folder" : "demo"));
  privateFolder(folder);
  const stage: Stage = {
    folder,
    laptop: await placeIn(folder, "laptop"),
    phone: await placeIn(folder, "phone"),
  };
  const [known] = readConfig(stage.laptop.paths).vaults;
  if (known?.remote !== undefined && isServer(known.remote) === byFolder)
    throw new TidelockError("exists", {
      why: `the demonstration in ${folder} goes by a ${byFolder ? "server" : "folder"}`,
      next: "name another folder for this one: tidelock demo DIR",
    });
  ctx.out.note(
    "Keys of this demonstration lie in plain files (--insecure-key-file), so that it starts without a keychain.",
  );
  if (byFolder) {
    const remote = join(folder, "remote");
    conclude(ctx, stage, remote, await play(ctx, stage, remote), folderNext(stage));
    return;
  }
  const { serve, stayWith } = await import("./demo-server.ts");
  const server = await serve(ctx, stage, known?.remote);
  try {
    const played = await play(ctx, stage, server.url);
    if (!stay) conclude(ctx, stage, server.url, played, serverNext(stage, server.url));
    else await stayWith(server, stage, () => conclude(ctx, stage, server.url, played, []));
  } finally {
    await server.stop();
  }
}

function here(path: string): string {
  return relative(process.cwd(), path) || ".";
}

async function placeIn(folder: string, name: string): Promise<Place> {
  const home = join(folder, name);
  return { name, home, file: join(folder, `${name}.db`), paths: await homePaths({ home }) };
}

const run = "npx tidelock";
const SECOND = "(in a second terminal)";

function folderNext({ laptop, phone }: Stage): readonly string[][] {
  return [
    ["keep both in sync", `${run} --home ${laptop.home} daemon run`],
    ["", `${run} --home ${phone.home} daemon run   ${SECOND}`],
  ];
}

function serverNext({ laptop, phone }: Stage, url: string): readonly string[][] {
  return [
    ["keep both in sync", `${run} --home ${laptop.home} up --listen ${new URL(url).host}`],
    ["", `${run} --home ${phone.home} daemon run   ${SECOND}`],
  ];
}

/** `first`: what has to run before the rest goes on by itself; nothing where this process stays. */
function conclude(
  ctx: Context,
  { folder, laptop, phone }: Stage,
  remote: string,
  { vault, name, label, rows }: Played,
  first: readonly string[][],
): void {
  const next = [
    ...first,
    ["write with any program", `sqlite3 ${laptop.file} "UPDATE task SET done = 1 WHERE id = 1"`],
    ["and look at the other", `sqlite3 ${phone.file} "SELECT * FROM task"`],
    ["what happened to a row", `${run} --home ${phone.home} history task/1`],
    ["how it is", `${run} --home ${phone.home} status`],
    ["your recovery words", `cat ${here(sheetPath(laptop.paths))}`],
    ["attach your own", `${run} --home ${laptop.home} db attach app.db`],
  ];
  ctx.out.data("Demo", { folder, vault, remote, rows, equal: true }, () => [
    ...(first.length === 0 ? ["Tidelock is running. Ctrl-C stops it; nothing is lost."] : []),
    ...columns([
      ["Vault", `${name}   E2E Encrypted   ${label}`],
      ["Laptop", `${laptop.home}   ${laptop.file}`],
      ["Phone", `${phone.home}   ${phone.file}`],
      [isServer(remote) ? "Server" : "Remote", `${remote}   (what it holds cannot be read there)`],
    ]),
    "",
    ...columns(next.map((line, i) => [i === 0 ? "Next" : "", ...line])),
  ]);
}
