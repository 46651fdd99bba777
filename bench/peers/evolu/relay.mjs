/**
 * Evolu's relay on the loopback: its storage, tables and protocol as published in @evolu/common. The
 * socket host around them is ours, after that of @evolu/nodejs, whose matching version the registry
 * did not serve. Its database is in the working directory. Prints its port.
 */
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { common, localFirst, relayDeps, used } from "./platform.mjs";

const { createConsole, createRun, createSqlite, Name } = common;
const console_ = createConsole({ level: "error" });
const run = createRun({ ...relayDeps, console: console_ });
const sqlite = await run.ok(createSqlite(Name.orThrow("relay")));
const deps = { ...run.deps, sqlite };
localFirst.createBaseSqliteStorageTables(deps);
localFirst.createRelayStorageTables(deps);
const storage = localFirst.createRelaySqliteStorage(deps)({ isOwnerWithinQuota: () => true });
const relayRun = run.create({ ...run.deps, storage });

const server = createServer();
const sockets = new WebSocketServer({ maxPayload: localFirst.defaultProtocolMessageMaxSize, noServer: true });
server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit("connection", ws, request));
});
const socketsByOwner = new Map();
sockets.on("connection", (ws) => {
  const options = {
    subscribe: (owner) => {
      if (!socketsByOwner.has(owner)) socketsByOwner.set(owner, new Set());
      socketsByOwner.get(owner).add(ws);
    },
    unsubscribe: (owner) => socketsByOwner.get(owner)?.delete(ws),
    broadcast: (owner, message) => {
      for (const other of socketsByOwner.get(owner) ?? []) {
        if (other !== ws && other.readyState === ws.OPEN) other.send(message, { binary: true });
      }
    },
  };
  const answer = async (message) => {
    const response = await relayRun(localFirst.applyProtocolMessageAsRelay(new Uint8Array(message), options));
    if (!response.ok) throw new Error(`the relay refused a message: ${JSON.stringify(response.error)}`);
    ws.send(response.value.message, { binary: true });
  };
  ws.on("message", (message) => void answer(message));
  ws.on("close", () => {
    for (const set of socketsByOwner.values()) set.delete(ws);
  });
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("message", () => process.send(used()));
process.on("disconnect", () => process.exit(0));
