/** The writing thread: owns the connection, groups what arrives, answers when it is durable. */
import { parentPort, workerData } from "node:worker_threads";
import { type Ask, faultOf, Outgoing, type Reply } from "./door.ts";
import { type Db, openFile } from "./file.ts";
import { GroupWriter } from "./group.ts";
import { prepareWrites } from "./writes.ts";

const replies = new Outgoing<Reply>((all) => parentPort?.postMessage(all));
const reply = (one: Reply): void => replies.add(one);

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
  const writer = new GroupWriter(db, prepareWrites(db), {
    answered: () => replies.flush(),
    failed: (error) => reply({ kind: "broken", fault: faultOf(error) }),
  });
  const take = ({ id, name, args }: Ask): void =>
    writer.add({
      name,
      args,
      done: (value) => reply({ kind: "done", id, value }),
      failed: (error) => reply({ kind: "failed", id, fault: faultOf(error) }),
    });
  parentPort?.on("message", (asks: readonly Ask[] | null) => {
    if (asks !== null) {
      for (const one of asks) take(one);
      return;
    }
    writer.drain();
    replies.flush();
    db.close();
    parentPort?.close();
  });
  reply({ kind: "ready" });
}
