/** The command line's grammar. Each command's module is loaded when it is called. */
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import { Command, CommanderError } from "commander";
import { type Context, createContext, type GlobalFlags, LISTEN, outputFor } from "./context.ts";
import { leave } from "./leave.ts";
import { asTidelockError, type Streams } from "./output.ts";
import { version } from "./version.ts";

/** What a command's module exports: the exit code, or nothing for 0. */
type Run = (ctx: Context, options: Record<string, unknown>, ...args: string[]) => Promise<number | undefined>;

export async function runProgram(
  args: readonly string[],
  env: Context["env"],
  streams: Streams,
): Promise<number> {
  let code = 0;
  const program = new Command("tidelock");
  const act =
    (load: () => Promise<Run>) =>
    async (...given: unknown[]): Promise<void> => {
      const command = given.at(-1) as Command;
      const operands = given.slice(0, -2).filter((one): one is string => typeof one === "string");
      const ctx = await createContext(program.opts<GlobalFlags>(), env, streams);
      const run = await load();
      code = (await run(ctx, command.opts(), ...operands)) ?? 0;
    };
  program.configureOutput({
    writeOut: (text) => void streams.stdout.write(text),
    // Said once, in our own form, below. Set before the commands are made: they take it over.
    writeErr: () => undefined,
  });
  define(program, act);
  if (args.length === 0) {
    streams.stdout.write(program.helpInformation());
    return 0;
  }
  const stop = onSignals(streams);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // --help and --version end by a throw too.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const known = error instanceof CommanderError ? usageError(error) : asTidelockError(error);
    outputFor(flagsIn(args), env, streams).error(known);
    return known.exit;
  } finally {
    stop();
  }
}

function define(
  program: Command,
  act: (load: () => Promise<Run>) => (...given: unknown[]) => Promise<void>,
): void {
  program
    .description("End-to-end encrypted, local-first sync of SQLite databases")
    .version(version, "--version")
    .option("--home <dir>", "the home to work in (default: TIDELOCK_HOME, then this account's own)")
    .option("--vault <id>", "the vault's id, checked against the home's")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no messages but errors")
    .option("--verbose", "more of everything")
    .option("--no-color", "no colours")
    .option("--no-input", "never ask")
    .option("--yes", "answer yes to what would be asked")
    .option("--timeout <seconds>", "give up waiting after this long; nothing is lost")
    .option("--insecure-key-file", "keep this device's keys in a plain file of mode 0600")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .exitOverride();

  const command = (spec: string, text: string, load: () => Promise<Run>, parent = program): Command => {
    const made = parent.command(spec).description(text).exitOverride();
    made.action(act(load));
    return made;
  };

  command("init", "found a vault on a remote", async () => (await import("./commands/init.ts")).init)
    .option("--remote <place>", "what keeps the vault: a folder, or a server's https: address")
    .option("--token-from-env <var>", "a server's registration token (default: TIDELOCK_TOKEN)")
    .option("--local", "a vault that stays on this device")
    .option("--name <name>", "what the vault is called", "My vault")
    .option("--device <name>", "what this device is called (default: the machine's name)")
    .option(
      "--key-from-env <var>",
      "take the 24 words from this variable; joins where they have founded a vault",
    )
    .option("--i-have-a-backup", "the words are kept already: do not ask for them, leave no sheet");

  command(
    "join",
    "this device into a vault, by its words or an invite",
    async () => (await import("./commands/join.ts")).join,
  )
    .alias("recover")
    .option("--remote <place>", "what keeps the vault: a folder, or a server's https: address")
    .option("--token-from-env <var>", "a server's registration token (default: TIDELOCK_TOKEN)")
    .option("--words", "ask for the 24 words (the default on a terminal)")
    .option("--words-from-env <var>", "take them from this variable")
    .option("--words-file <path>", "take them from a file that only you can read; - is stdin")
    .option("--device <name>", "what this device is called (default: the machine's name)")
    .option("--code", "by an invite: ask for its code")
    .option("--code-from-env <var>", "take the invite's code from this variable")
    .option("--code-file <path>", "take it from a file that only you can read; - is stdin")
    .option("--name <name>", "what you are called to the others (default: this account's name)");

  command(
    "login",
    "sign in at the vault's server, with a token where it does not know you",
    async () => (await import("./commands/login.ts")).login,
  ).option("--token-from-env <var>", "a server's registration token (default: TIDELOCK_TOKEN)");

  command(
    "status",
    "one line: how the vault is, and what to do",
    async () => (await import("./commands/status.ts")).status,
  )
    .option("--follow", "again at each change, until Ctrl-C; wants a daemon")
    .option("--after <id>", "with --follow: go on after the status of this id, as told by --json");

  command(
    "pause",
    "send and receive nothing; edits are kept, also after a restart",
    async () => (await import("./commands/status.ts")).pause,
  ).option("--for <time>", "only this long: 90s, 30m, 2h, 1d");
  command("resume", "go on after a pause", async () => (await import("./commands/status.ts")).resume);

  const issues = program.command("issues").description("what you should know or do").exitOverride();
  const issue = (name: "ls" | "dismiss") => async () => (await import("./commands/issues.ts"))[name] as Run;
  command("ls", "open issues, each with what to do", issue("ls"), issues).option(
    "--all",
    "dismissed ones too",
  );
  command("dismiss <code>", "seen; told again when it grows", issue("dismiss"), issues);

  const vault = program.command("vault").description("what holds for all devices").exitOverride();
  const whole = (name: "show" | "set") => async () => (await import("./commands/vault.ts"))[name] as Run;
  command("show", "the vault's settings", whole("show"), vault);
  command("set <key> <value>", "maxFileSize: bytes that a file may have, up to 48 GiB", whole("set"), vault);

  const remote = program
    .command("remote")
    .description("what keeps the vault, as this device uses it")
    .exitOverride();
  const limits = async (): Promise<Run> => (await import("./commands/remote.ts")).limit as Run;
  command("limit", "how fast content may go and come; without options: how it is", limits, remote)
    .option("--up <bytes>", "a second: 500kB; `off`: as fast as it goes")
    .option("--down <bytes>", "a second: 2MB; `off`: as fast as it comes")
    .option("--schedule <hours>", "full hours in which both hold: 8-18,22-24; or `always`");

  const device = program.command("device").description("the devices of this vault").exitOverride();
  const one = (name: "ls" | "rename" | "rm") => async () =>
    (await import("./commands/device.ts"))[name] as Run;
  command("ls", "each with its name and when it was last heard of", one("ls"), device);
  command("rename <name>", "what this device is called", one("rename"), device);
  command("rm <device>", "take one out, by its number or name; asks first", one("rm"), device).option(
    "--certified-since <time>",
    "the devices too that it has let in since",
  );

  const member = program.command("member").description("the people of this vault").exitOverride();
  const person = (name: keyof typeof import("./commands/member.ts")) => async () =>
    (await import("./commands/member.ts"))[name] as Run;
  command("ls", "each with the role and how many devices", person("ls"), member);
  command("role <member> <role>", "make somebody admin, editor or viewer", person("role"), member);
  command("rm <member>", "take somebody out, with all their devices; asks first", person("rm"), member);
  command("transfer <member>", "make somebody else the owner; asks first", person("transfer"), member);

  const invite = program.command("invite").description("let another person in").exitOverride();
  const guest = (name: keyof typeof import("./commands/invite.ts")) => async () =>
    (await import("./commands/invite.ts"))[name] as Run;
  command("create", "a code for one person", guest("create"), invite)
    .option("--role <role>", "admin, editor or viewer", "editor")
    .option("--ttl <time>", "how long it is good: 30m, 2h, at most 7d");
  command("ls", "the open invites", guest("ls"), invite);
  command("revoke <id>", "this one lets nobody in any more", guest("revoke"), invite);
  command("admit", "let in now who has answered; a daemon does so by itself", guest("admit"), invite);

  command("sync", "send and receive now", async () => (await import("./commands/sync.ts")).sync).option(
    "--wait",
    "until every own edit has its verdict and what was read stands in databases and folders",
  );

  const db = program.command("db").description("SQLite databases that are kept in sync").exitOverride();
  const database = (name: keyof typeof import("./commands/db.ts")) => async () =>
    (await import("./commands/db.ts"))[name] as Run;
  command("attach <path>", "keep this database in sync; an empty path is filled", database("attach"), db)
    .option("--tables <names>", "only these tables, by commas")
    .option("--natural <names>", "tables whose INTEGER PRIMARY KEY names the row itself, by commas");
  command("detach <path>", "leave this database as it was", database("detach"), db).option(
    "--force",
    "also a file that this home does not know",
  );
  command("ls", "the attached databases", database("ls"), db);
  command("approve <path>", "let withheld deletions go", database("approve"), db);

  const daemon = program.command("daemon").description("keep the vault in sync while it runs").exitOverride();
  const service = (name: keyof typeof import("./commands/daemon.ts")) => async () =>
    (await import("./commands/daemon.ts"))[name] as Run;
  command("run", "run in front; Ctrl-C ends it", service("run"), daemon);
  command("stop", "end the daemon of this home", service("stop"), daemon).option(
    "--force",
    "also one that does not answer; nothing is lost",
  );
  command("restart", "close and open the vault anew, in the same process", service("restart"), daemon);
  command("status", "whether a daemon runs here", service("status"), daemon);
  const auto = (name: "enable" | "disable") => async () =>
    (await import("./commands/autostart.ts"))[name] as Run;
  command("enable", "start it when you log in, and now; asks first", auto("enable"), daemon).option(
    "--print",
    "only show the file that would be written",
  );
  command("disable", "stop it, and start it no more", auto("disable"), daemon);

  command(
    "log [show] [seq]",
    "the vault's log, one line an entry; `log show SEQ` for one",
    async () => (await import("./commands/log.ts")).log,
  )
    .option("--from <seq>", "the first entry to show (default: the newest ones)")
    .option("--limit <n>", "how many", "100");
  command(
    "why <object>",
    "the changes that made a row (TABLE/KEY) or a file of the drive what it is",
    async () => (await import("./commands/rows.ts")).why,
  ).option("--kind <kind>", "rows or files (default: the row, where there is one)");
  command(
    "history <object>",
    "every version of a row (TABLE/KEY), or of a file of the drive",
    async () => (await import("./commands/rows.ts")).history,
  ).option("--kind <kind>", "rows or files (default: the row, where there is one)");
  command(
    "restore <object>",
    "a file of the drive as it was: an earlier version, or what was deleted, by its path or id",
    async () => (await import("./commands/past.ts")).restore,
  )
    .option("--at <revision>", "which version: see tidelock history PATH")
    .option("--to <path>", "under another path, of what was deleted");
  command(
    "trash",
    "files and folders that were deleted and can be restored",
    async () => (await import("./commands/past.ts")).trash,
  );

  const conflicts = program.command("conflicts").description("edits that lost").exitOverride();
  command("ls", "open conflicts", async () => (await import("./commands/rows.ts")).conflicts, conflicts)
    .option("--all", "settled ones too")
    .option("--kind <kind>", "rows or files (default: both)");
  command(
    "show <id>",
    "one of files, with the lines in which they differ",
    async () => (await import("./commands/past.ts")).show,
    conflicts,
  );
  command(
    "settle <id> <choice>",
    "end a conflict of files: keep-current, use-other or keep-both; or later",
    async () => (await import("./commands/past.ts")).settle,
    conflicts,
  );

  const drive = program.command("drive").description("files of the vault").exitOverride();
  const file = (name: keyof typeof import("./commands/drive.ts")) => async () =>
    (await import("./commands/drive.ts"))[name] as Run;
  command("ls [path]", "what lies in a folder of the drive", file("ls"), drive);
  command("put <file> [path]", "a file of this machine into the drive", file("put"), drive);
  command("get <path> [file]", "a file of the drive into a new file here", file("get"), drive).option(
    "--at <revision>",
    "as it was at one of its versions, also if it was deleted",
  );
  command("cat <path>", "a file of the drive to stdout", file("cat"), drive).option(
    "--at <revision>",
    "as it was at one of its versions, also if it was deleted",
  );
  command(
    "state-hash",
    "what the log made of this device: the same at the same seq on all of them",
    file("stateHash"),
    drive,
  );
  command("mkdir <path>", "a folder, with those above it", file("mkdir"), drive);
  command("mv <from> <to>", "to another name or folder", file("mv"), drive);
  command("pin <path>", "kept on this machine, with all in it, also as others change it", file("pin"), drive);
  command("unpin <path>", "it may go from this machine when room is needed", file("unpin"), drive);
  command("free <path>", "its room on this machine is given back", file("free"), drive);
  command(
    "delete <path>",
    "a file, or a folder with all in it; asks first for a folder",
    file("remove"),
    drive,
  );
  const folder = (name: keyof typeof import("./commands/folders.ts")) => async () =>
    (await import("./commands/folders.ts"))[name] as Run;
  command("add <dir>", "keep a folder of this machine equal with the drive", folder("add"), drive).option(
    "--force",
    "also one that another home has synced, which is given up",
  );
  command("rm <dir>", "keep it in step no more; what lies in it stays", folder("rm"), drive);
  command("folders", "the folders that are kept in step", folder("ls"), drive);
  command("scan [dir]", "look at everything in a folder now", folder("scan"), drive);
  command("select <folder>", "show it here again, with all in it", folder("select"), drive);
  command(
    "deselect <folder>",
    "a folder of the drive does not lie here any more; it stays in the vault",
    folder("deselect"),
    drive,
  );
  command("approve <dir>", "let withheld deletions go", folder("approve"), drive);
  command("undo <dir>", "bring back what is missing and was withheld", folder("undo"), drive);

  const queue = program.command("queue").description("edits without a verdict").exitOverride();
  const edit = (name: keyof typeof import("./commands/queue.ts")) => async () =>
    (await import("./commands/queue.ts"))[name] as Run;
  command("ls", "unsent, sent and rejected edits, each with its cause", edit("ls"), queue);
  command("retry <id>", "send again what the vault did not take", edit("retry"), queue);
  command("save <id>", "a copy of an edit, as lines of JSON", edit("save"), queue);
  command("drop <id>", "give an edit up; a copy is kept; asks first", edit("drop"), queue);

  command(
    "resync",
    "make this device's copy anew from the log; what waits is kept, nothing is deleted",
    async () => (await import("./commands/resync.ts")).resync,
  );
  command(
    "verify",
    "look again at everything this device holds; reads only",
    async () => (await import("./commands/verify.ts")).verify,
  );
  command(
    "doctor",
    "look at every part of this installation, each with what to do",
    async () => (await import("./commands/doctor.ts")).doctor,
  );
  const debug = program.command("debug").description("for somebody who helps you").exitOverride();
  command(
    "bundle",
    "one file of versions, findings and events; no keys, names, paths or contents",
    async () => (await import("./commands/doctor.ts")).bundle,
    debug,
  ).option("--out <file>", "where to (default: a new file in this folder)");
  const server = program.command("server").description("keep vaults for other devices").exitOverride();
  const serve = (name: keyof typeof import("./commands/server.ts")) => async () =>
    (await import("./commands/server.ts"))[name] as Run;
  command("up", "a server, a first vault and its daemon, in one process", serve("up"))
    .option("--listen <host:port>", "where the server answers", LISTEN)
    .option("--data <dir>", "what the server keeps (default: in the home)")
    .option("--name <name>", "what a new vault is called", "My vault")
    .option("--device <name>", "what this device is called (default: the machine's name)");
  command("run", "run in front; Ctrl-C ends it", serve("run"), server)
    .option("--listen <host:port>", "where it answers", LISTEN)
    .option("--data <dir>", "what it keeps (default: in the home)")
    .option("--public-url <url>", "where clients find it, behind a proxy that does TLS")
    .option("--registration <who>", "open, token or closed (default: token)")
    .option("--sign-ins <number>", "how many a minute one address may have (default: 30)")
    .option("--operator-token-from-env <var>", "opens /v1/admin (default: TIDELOCK_OPERATOR_TOKEN)")
    .option("--operator-token-file <path>", "the same, from a private file");
  command("token", "a registration token: admits one person, for a day", serve("token"), server).option(
    "--data <dir>",
    "what the server keeps (default: in the home)",
  );
  command("healthcheck [url]", "whether a server takes work", serve("healthcheck"), server);
  const admin = server.command("admin").description("for whoever runs a server").exitOverride();
  const operate = (spec: string, text: string, name: keyof typeof import("./commands/admin.ts")): Command => {
    const load = async (): Promise<Run> => (await import("./commands/admin.ts"))[name] as Run;
    return command(spec, text, load, admin)
      .option("--url <url>", "the server (default: http://127.0.0.1:7433)")
      .option("--operator-token-from-env <var>", "the operator's token (default: TIDELOCK_OPERATOR_TOKEN)")
      .option("--operator-token-file <path>", "the same, from a private file");
  };
  operate("usage", "what each person has and uses", "usage");
  operate("audit", "what was done, newest first", "audit").option("--before <n>", "from this number on");
  operate("token", "a registration token", "token")
    .option("--uses <n>", "how many persons it admits (default: 1)")
    .option("--for <time>", "how long it is good (default: 1d)");
  operate("plan <subject>", "what a person or a group has; with options, from now on", "plan")
    .option("--plans <names>", "words of your own, by commas")
    .option("--quota <bytes>", "room for all vaults together: 50GB")
    .option("--seats <n>", "of a group: how many of its persons are covered")
    .option("--until <time>", "from then on it is lapsed");
  operate("suspend <subject>", "a person or a group lapses: reading goes on, nothing is added", "suspend");
  operate("resume <subject>", "active again", "resume");
  operate("groups", "all groups, and how much is in them", "groups");
  operate("group <group>", "what stands in one", "group");
  operate("add <group> <kind> <id>", "a person, device or vault into a group; `new` draws one", "add");
  operate("remove <group> <kind> <id>", "out of it again", "remove");
  operate("close <person>", "close an account and delete its vaults; asks first", "close");
  operate("delete <vault>", "delete a vault for everybody; asks first", "deleteVault");
  operate("restore <vault>", "take a deletion back, within 30 days", "restore");
  command(
    "demo [dir]",
    "a server, two devices and a sample database in ./.tidelock",
    async () => (await import("./commands/demo.ts")).demo,
  )
    .option("--folder", "a folder in place of the server")
    .option("--stay", "until Ctrl-C, as on a terminal");
  command("help [topic]", "a command, `errors`, or `json`", async () => {
    const { help } = await import("./commands/help.ts");
    return (ctx, options, topic) => help(program, ctx, options, topic);
  });
}

function usageError(error: CommanderError): TidelockError {
  // What the library says where a group like `db` stands alone.
  if (error.code === "commander.help")
    return new TidelockError("usage", { why: "a command is missing", next: "tidelock help" });
  const why = error.message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .replace(/\.$/, "");
  return new TidelockError("usage" satisfies ErrorCode, { why, next: "tidelock help" });
}

/** The flags that shape an error's form, also where the rest of the line cannot be parsed. */
function flagsIn(args: readonly string[]): GlobalFlags {
  return {
    json: args.includes("--json"),
    quiet: args.includes("--quiet"),
    verbose: args.includes("--verbose"),
    color: !args.includes("--no-color"),
  };
}

/** Every step is safe to stop at. `daemon run` takes the signals for itself. */
function onSignals(streams: Streams): () => void {
  const end = (code: number, signal: NodeJS.Signals) => () => {
    // Somebody else ends in order.
    if (process.listenerCount("SIGINT") > 1 || process.listenerCount("SIGTERM") > 1) return;
    streams.stderr.write(code === 130 ? "\nstopped; nothing is lost\n" : "");
    leave(code, signal);
  };
  const interrupted = end(130, "SIGINT");
  const terminated = end(143, "SIGTERM");
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", terminated);
  return () => {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", terminated);
  };
}
