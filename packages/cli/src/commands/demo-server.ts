/** The demonstration's server: where `tidelock up` in the laptop's home would keep one, so that it goes on there. */
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { runDaemon } from "@tidelock/node/daemon/run";
import { readConfig, writeConfig } from "@tidelock/node/home/config";
import { ownHome } from "@tidelock/node/vault/own";
import type { RunningServer } from "@tidelock/server/host/start";
import { type Context, LISTEN } from "../context.ts";
import { untilStopped } from "../until-stopped.ts";
import { version } from "../version.ts";
import type { Stage } from "./demo-devices.ts";
import { orFailed, start } from "./server.ts";

/** Where it was before; where that port is taken, at any free one, and both devices are told. */
export async function serve(ctx: Context, stage: Stage, known: string | undefined): Promise<RunningServer> {
  const homes = [stage.laptop.paths, stage.phone.paths];
  // Before its data are touched: one that runs already has them.
  for (const paths of homes) (await ownHome(paths, { what: "demo" })).release();
  const at = (listen: string): Promise<RunningServer> =>
    // Open, so that one that was stopped while it registered goes on. Only this machine reaches it.
    start(ctx, { listen, data: join(stage.laptop.paths.data, "server") }, { registration: "open" });
  const before = known === undefined ? LISTEN : new URL(known).host;
  const server = await at(before).catch((error: unknown) => {
    if (!(error instanceof TidelockError) || error.code !== "in-use") throw error;
    ctx.out.note(`${before} is taken by another program: the server answers elsewhere.`);
    return at("127.0.0.1:0");
  });
  for (const paths of homes) {
    const { vaults } = readConfig(paths);
    if (vaults.some(({ remote }) => remote !== server.url))
      writeConfig(paths, { vaults: vaults.map((vault) => ({ ...vault, remote: server.url })) });
  }
  return server;
}

/** Both devices beside the server, until a person or the system ends it. */
export function stayWith(server: RunningServer, stage: Stage, ready: () => void): Promise<void> {
  const homes = [stage.laptop.paths, stage.phone.paths];
  return untilStopped(async (signal) => {
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    let begun = 0;
    const oneMore = (): void => {
      begun++;
      // Later ones were restarted.
      if (begun === homes.length) ready();
    };
    const options = { keys: { insecureKeyFile: true }, version, ready: oneMore };
    const daemons = homes.map((paths) => runDaemon({ paths, ...options }, either));
    try {
      await orFailed(
        server,
        Promise.all(daemons).then(() => undefined),
      );
    } finally {
      end.abort();
      // What one of them ended with was thrown above; the other closes its home in order.
      await Promise.allSettled(daemons);
    }
  });
}
