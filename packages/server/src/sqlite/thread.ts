/** The writing thread: owns the connection, groups what arrives, answers when it is durable. */
import { parentPort, workerData } from "node:worker_threads";
import { type Ask, faultOf, type Reply } from "./door.ts";
import { type Db, openFile } from "./file.ts";
import { GroupWriter } from "./group.ts";
import { prepareWrites } from "./writes.ts";

const reply = (message: Reply): void => parentPort?.postMessage(message);

function open(): Db | undefined {
  try {
    return openFile(workerData as string);
  } catch (error) {
    reply({ kind: "refused", fault: faultOf(error) });
    return undefined;
  }
}

const db = open();
if (db !== undefined) {
  const writer = new GroupWriter(db, prepareWrites(db), (error) =>
    reply({ kind: "broken", fault: faultOf(error) }),
  );
  parentPort?.on("message", (ask: Ask | null) => {
    if (ask === null) {
      writer.drain();
      db.close();
      parentPort?.close();
      return;
    }
    const { id, name, args } = ask;
    writer.add({
      name,
      args,
      done: (value) => reply({ kind: "done", id, value }),
      failed: (error) => reply({ kind: "failed", id, fault: faultOf(error) }),
    });
  });
  reply({ kind: "ready" });
}
