/**
 * Syncthing as the peer: two nodes that know each other, or two that meet at a third which keeps the
 * folder encrypted and cannot read it. Nothing but the loopback: no discovery, no relays, no NAT,
 * no reports. It is told to look at its folder, so that no delay of its watcher is measured.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../test/e2e/homes.ts";
import type { Pair } from "./pair.ts";

const FOLDER = "bench";
const PASSWORD = "the third node does not know it";
const LOOK = 50;

interface Node {
  readonly id: string;
  readonly address: string;
  readonly folder: string;
  readonly child: ChildProcess;
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
}

interface FolderState {
  readonly state: string;
  readonly needTotalItems: number;
  readonly localFiles: number;
  readonly localDirectories: number;
  readonly localBytes: number;
}

/** Undefined where it is not installed. */
export function syncthingVersion(): string | undefined {
  try {
    return execFileSync("syncthing", ["--version"], { encoding: "utf8" }).split(" ")[1];
  } catch {
    return undefined;
  }
}

export async function startSyncthing(kind: "encrypted" | "direct"): Promise<Pair> {
  const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
  const names = kind === "direct" ? ["a", "b"] : ["a", "b", "hub"];
  const nodes: Node[] = [];
  for (const name of names) nodes.push(await startNode(join(root, name)));
  const [a, b, hub] = nodes as [Node, Node, Node | undefined];
  if (hub === undefined) {
    await share(a, "sendreceive", [b]);
    await share(b, "sendreceive", [a]);
  } else {
    await share(hub, "receiveencrypted", [a, b]);
    for (const node of [a, b]) await share(node, "sendreceive", [hub], PASSWORD);
  }
  const stateOf = (node: Node): Promise<FolderState> => node.call("GET", `/rest/db/status?folder=${FOLDER}`);
  const scan = (): Promise<unknown> => a.call("POST", `/rest/db/scan?folder=${FOLDER}`);
  return {
    name: `Syncthing, ${kind === "direct" ? "direct" : "encrypted third"}`,
    left: a.folder,
    right: b.folder,
    pids: nodes.map(({ child }) => child.pid as number),
    nudge: async () => void scan().catch(() => undefined),
    pass: async () => void (await scan()),
    settled: async () => {
      const states = await Promise.all(nodes.map(stateOf));
      const connected = await Promise.all(nodes.map(isConnected));
      const [one, other] = states as [FolderState, FolderState];
      return (
        connected.every(Boolean) &&
        states.every(({ state, needTotalItems }) => state === "idle" && needTotalItems === 0) &&
        one.localFiles === other.localFiles &&
        one.localDirectories === other.localDirectories &&
        one.localBytes === other.localBytes
      );
    },
    counts: async () => {
      const all = await Promise.all(nodes.map((node) => connections(node)));
      return { wire: all.reduce((sum, { total }) => sum + total.inBytesTotal, 0) };
    },
    stop: async () => {
      await Promise.all(nodes.map(({ child }) => stopped(child)));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function startNode(root: string): Promise<Node> {
  const [home, folder] = [join(root, "home"), join(root, "folder")];
  mkdirSync(folder, { recursive: true });
  const env = { PATH: process.env["PATH"] ?? "", HOME: root };
  const make = ["generate", `--home=${home}`, "--no-default-folder", "--skip-port-probing"];
  execFileSync("syncthing", make, { env, stdio: "ignore" });
  const [gui, sync] = [await freePort(), await freePort()];
  const path = join(home, "config.xml");
  // Before its first start, so that it never listens or asks elsewhere.
  const config = quiet(readFileSync(path, "utf8"), sync);
  writeFileSync(path, config);
  const [key = "", id = ""] = [/<apikey>(.+)<\/apikey>/, /<device id="([^"]+)"/].map(
    (it) => it.exec(config)?.[1],
  );
  const run = ["serve", `--home=${home}`, "--no-browser", "--no-restart", "--no-upgrade"];
  const child = spawn("syncthing", [...run, `--gui-address=127.0.0.1:${gui}`, "--logflags=0"], {
    env,
    stdio: "ignore",
  });
  const call = async <T>(method: string, where: string, body?: unknown): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${gui}${where}`, {
      method,
      headers: { "x-api-key": key },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`syncthing, ${where}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  };
  while ((await call("GET", "/rest/system/ping").catch(() => undefined)) === undefined) {
    if (child.exitCode !== null) throw new Error(`syncthing ended with ${child.exitCode}`);
    await sleep(LOOK);
  }
  return { id, address: `tcp://127.0.0.1:${sync}`, folder, child, call };
}

function quiet(config: string, port: number): string {
  const options: Readonly<Record<string, string>> = {
    listenAddress: `tcp://127.0.0.1:${port}`,
    globalAnnounceEnabled: "false",
    localAnnounceEnabled: "false",
    relaysEnabled: "false",
    natEnabled: "false",
    startBrowser: "false",
    urAccepted: "-1",
    crashReportingEnabled: "false",
    autoUpgradeIntervalH: "0",
    // The others run at the usual priority too.
    setLowPriority: "false",
    reconnectionIntervalS: "1",
  };
  return Object.entries(options).reduce(
    (text, [name, value]) => text.replace(new RegExp(`<${name}>.*</${name}>`), `<${name}>${value}</${name}>`),
    config,
  );
}

async function share(node: Node, type: string, others: readonly Node[], password = ""): Promise<void> {
  for (const other of others)
    await node.call("PUT", `/rest/config/devices/${other.id}`, {
      deviceID: other.id,
      addresses: [other.address],
    });
  await node.call("PUT", `/rest/config/folders/${FOLDER}`, {
    id: FOLDER,
    path: node.folder,
    type,
    fsWatcherEnabled: true,
    // The least it takes.
    fsWatcherDelayS: 1,
    devices: others.map(({ id }) => ({ deviceID: id, encryptionPassword: password })),
  });
}

interface Connections {
  readonly total: { readonly inBytesTotal: number };
  readonly connections: Readonly<Record<string, { readonly connected: boolean }>>;
}

function connections(node: Node): Promise<Connections> {
  return node.call("GET", "/rest/system/connections");
}

async function isConnected(node: Node): Promise<boolean> {
  const { connections: all } = await connections(node);
  return Object.entries(all).every(([id, { connected }]) => id === node.id || connected);
}

function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
