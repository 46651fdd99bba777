/** `up`: a server, a first vault and its daemon in one process. `server`: one alone. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { fromBase64Url } from "@tidelock/core/bytes/base64url";
import { TidelockError } from "@tidelock/core/errors";
import { readConfig } from "@tidelock/node/home/config";
import { loadSqlite } from "@tidelock/node/home/driver";
import { chooseKeyForm } from "@tidelock/node/home/keys";
import { enterVault } from "@tidelock/node/vault/enter";
import { createLogFile } from "@tidelock/node/vault/log-file";
import { parseRemote } from "@tidelock/node/vault/remote";
import { phraseOf, sheetPath } from "@tidelock/node/vault/words";
import type { RunningServer, StartOptions } from "@tidelock/server/host/start";
import { type Context, LISTEN } from "../context.ts";
import { columns } from "../output.ts";
import { operatorTokenOf } from "../secrets.ts";
import { untilStopped } from "../until-stopped.ts";
import { version } from "../version.ts";

interface UpOptions {
  readonly listen: string;
  readonly data?: string;
  readonly name: string;
  readonly device?: string;
}

interface RunOptions {
  readonly listen: string;
  readonly data?: string;
  readonly publicUrl?: string;
  readonly registration?: string;
  readonly signIns?: string;
  readonly operatorTokenFromEnv?: string;
  readonly operatorTokenFile?: string;
}

const registrations: readonly NonNullable<StartOptions["registration"]>[] = ["open", "token", "closed"];
/** A health check is asked often and must end by itself. */
const PATIENCE = 5_000;

export async function up(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const options = given as unknown as UpOptions;
  const [known] = readConfig(ctx.paths).vaults;
  const server = await start(ctx, options, {});
  try {
    if (known !== undefined && known.remote !== server.url)
      throw new TidelockError("exists", {
        why: `this home's vault is kept at ${known.remote ?? "this device alone"}, not at ${server.url}`,
        next: "listen where it was made (--listen), or name another home with --home",
      });
    if (known === undefined) await foundOn(ctx, server, options);
    await daemonOn(ctx, server);
  } finally {
    await server.stop();
  }
}

/** Without a terminal: the words wait on a sheet. */
async function foundOn(ctx: Context, server: RunningServer, options: UpOptions): Promise<void> {
  loadSqlite();
  const { paths, keys } = ctx.connect("up");
  await chooseKeyForm(keys);
  const entropy = new Uint8Array(randomBytes(32));
  await enterVault(
    { paths, keys, timeoutMs: ctx.timeoutMs },
    {
      kind: "found",
      remote: server.url,
      registration: fromBase64Url(await server.invitePerson()),
      vaultName: options.name,
      deviceName: options.device ?? hostname(),
      entropy,
      sheet: phraseOf(entropy),
    },
  );
}

async function daemonOn(ctx: Context, server: RunningServer): Promise<void> {
  const { runDaemon } = await import("@tidelock/node/daemon/run");
  const { paths, keys, vault } = ctx.connect("up");
  const ready = (): void => {
    const [info] = readConfig(paths).vaults;
    const value = { url: server.url, vault: info?.id ?? "", home: paths.root, sheet: sheetPath(paths) };
    const run = `npx tidelock${ctx.insecureKeyFile ? " --insecure-key-file" : ""}`;
    ctx.out.data("Up", value, () => [
      "Tidelock is running. Ctrl-C stops it; nothing is lost.",
      ...columns([
        ["  Server", `${server.url}   (what it holds cannot be read there)`],
        ["  Vault", `${value.vault.slice(0, 16)}   E2E Encrypted`],
        ["  Home", paths.root],
      ]),
      `Next  write down your words    cat ${value.sheet}`,
      `      attach a database        ${run} --home ${paths.root} db attach app.db`,
      `      a token for a new person ${run} --home ${paths.root} server token`,
      `      add a device             ${run} --home OTHER join --remote ${server.url} --words`,
      `      how it is                ${run} --home ${paths.root} status`,
    ]);
    if (info?.keys === "plain")
      ctx.out.warn("This device's keys lie in a plain file, as you chose with --insecure-key-file.");
  };
  await untilStopped(async (signal) => {
    const end = new AbortController();
    const daemon = runDaemon({ paths, keys, vault, version, ready }, AbortSignal.any([signal, end.signal]));
    try {
      await orFailed(server, daemon);
    } finally {
      // The daemon closes the home in order before the process ends.
      end.abort();
      // What it ended with was thrown above, unless the disk was the reason: then that is what to tell.
      await daemon.catch(() => undefined);
    }
  });
}

export async function run(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const options = given as unknown as RunOptions;
  const registration = registrationOf(ctx, options.registration);
  const url = options.publicUrl === undefined ? {} : { url: parseRemote(options.publicUrl) };
  const operatorToken = await operatorTokenOf(ctx, options);
  const operator = operatorToken === undefined ? {} : { operatorToken };
  const server = await start(ctx, options, { registration, ...signInsOf(options), ...url, ...operator });
  try {
    ctx.out.data("Server", { running: true, url: server.url, data: dataOf(ctx, options) }, () => [
      `Tidelock's server answers at ${server.url}`,
      `It keeps its data in ${dataOf(ctx, options)}`,
    ]);
    ctx.out.note("Ctrl-C stops it; nothing is lost.");
    await untilStopped((signal) => orFailed(server, ended(signal)));
  } finally {
    await server.stop();
  }
}

/** Many people may share an address. */
function signInsOf({ signIns }: RunOptions): Pick<StartOptions, "rates"> {
  if (signIns === undefined) return {};
  if (!/^[1-9]\d{0,5}$/.test(signIns))
    throw new TidelockError("usage", {
      why: "--sign-ins wants how many a minute one address may have",
      next: "--sign-ins 300",
    });
  const rate = { perMinute: Number(signIns), burst: Number(signIns), of: "address" } as const;
  return { rates: { challenge: rate, "sign-in": rate } };
}

/** Said on the command line, or by TIDELOCK_OPEN_REGISTRATION; else by token. */
function registrationOf(ctx: Context, given: string | undefined): (typeof registrations)[number] {
  const said = ctx.env["TIDELOCK_OPEN_REGISTRATION"] ?? "";
  const open = { "": "token", false: "token", true: "open" }[said];
  const registration = registrations.find((one) => one === (given ?? open));
  if (registration !== undefined) return registration;
  throw new TidelockError("usage", {
    why:
      given === undefined
        ? "TIDELOCK_OPEN_REGISTRATION wants true or false"
        : "--registration wants open, token or closed",
    next: "--registration token admits whom you give a token: tidelock server token",
  });
}

export async function token(ctx: Context, given: Record<string, unknown>): Promise<undefined> {
  const { invitePerson } = await import("@tidelock/server/host/invite");
  const made = await invitePerson(dataOf(ctx, given));
  ctx.out.data("Server", { token: made }, () => [made]);
  ctx.out.note("It admits one person, for a day: TIDELOCK_TOKEN=… tidelock init --remote URL");
}

export async function healthcheck(
  ctx: Context,
  _options: Record<string, unknown>,
  address = `http://${LISTEN}`,
): Promise<undefined> {
  const url = parseRemote(address);
  const answer = await fetch(`${url}/readyz`, {
    redirect: "error",
    signal: AbortSignal.timeout(ctx.timeoutMs ?? PATIENCE),
  }).catch(() => undefined);
  if (answer?.ok !== true)
    throw new TidelockError("unreachable", {
      why: answer === undefined ? `${url} does not answer` : `${url} answers ${answer.status}`,
      next: "tidelock server run, and look at what it says",
    });
  ctx.out.data("Server", { ready: true, url }, () => [`${url} is ready`]);
}

export async function start(
  ctx: Context,
  options: { readonly listen: string; readonly data?: string },
  more: Pick<StartOptions, "registration" | "url" | "operatorToken" | "rates">,
): Promise<RunningServer> {
  loadSqlite();
  const { startServer } = await import("@tidelock/server/host/start");
  const folder = dataOf(ctx, options);
  const log = createLogFile(join(folder, "server.log"));
  return startServer({ folder, ...listenOf(options.listen), registration: "token", log, ...more });
}

function dataOf(ctx: Context, { data }: { readonly data?: unknown }): string {
  return typeof data === "string" ? resolve(data) : join(ctx.paths.data, "server");
}

function listenOf(text: string): { readonly host: string; readonly port: number } {
  const url = URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : undefined;
  const port = /:(\d{1,5})$/.exec(text)?.[1];
  if (url === undefined || url.pathname !== "/" || port === undefined || Number(port) > 65_535)
    throw new TidelockError("usage", { why: "--listen wants HOST:PORT", next: "--listen 127.0.0.1:7433" });
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** A server whose disk has failed answers nothing more: whoever runs it starts it anew. */
export function orFailed(server: RunningServer, work: Promise<void>): Promise<void> {
  const failed = server.failed.then(() => {
    throw new TidelockError("replica-damaged", {
      why: "the disk under the server's data failed; what it had acknowledged is on it",
      next: "look at the disk, then start it again",
    });
  });
  return Promise.race([work, failed]);
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolvePromise) =>
    signal.addEventListener("abort", () => resolvePromise(), { once: true }),
  );
}
