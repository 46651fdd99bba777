/** A remote that takes its time to open: a folder on a server that hangs must not keep a home from opening. */
import type { Failure, Remote } from "@tidelock/core/ports";
import { errnoOf } from "../home/files.ts";
import { answered } from "./stalls.ts";

/** How long a start waits for it, ms. */
const PATIENCE = 3000;

/** The remote where it is soon there; else one whose every call waits for it, and is told of as a stall. */
export async function orLate(opening: Promise<Remote>, patience: number = PATIENCE): Promise<Remote> {
  return (await answered(opening, patience)) ?? lateRemote(opening);
}

export function lateRemote(opening: Promise<Remote>): Remote {
  let closed = false;
  let opened: Remote | undefined;
  // Said by each call below; unheard it would end the process.
  opening.then(
    (remote) => {
      opened = remote;
      if (closed) remote.close();
    },
    () => undefined,
  );
  const when = async <T>(call: (remote: Remote) => Promise<T>): Promise<T | Failure> => {
    let remote: Remote;
    try {
      remote = await opening;
    } catch (error) {
      return { kind: "unreachable", why: `it could not be opened (${errnoOf(error) || "unknown"})` };
    }
    return closed ? { kind: "unreachable", why: "it is closed" } : call(remote);
  };
  return {
    // What it turns out to offer besides is offered after the next start.
    caps: { wake: true, deletes: false, accounts: false, links: false },
    create: (genesis) => when((remote) => remote.create(genesis)),
    genesis: () => when((remote) => remote.genesis()),
    read: (after, want) => when((remote) => remote.read(after, want)),
    append: (frames, seen) => when((remote) => remote.append(frames, seen)),
    putBlob: (id, bytes, pace) => when((remote) => remote.putBlob(id, bytes, pace)),
    getBlob: (id, part) => when((remote) => remote.getBlob(id, part)),
    listBlobs: (after) => when((remote) => remote.listBlobs(after)),
    deleteBlobs: (ids, condemnedAt) => when((remote) => remote.deleteBlobs(ids, condemnedAt)),
    wake: (hint) => {
      let unwake: () => void = () => undefined;
      let ended = false;
      opening.then(
        (remote) => {
          if (!ended && !closed) unwake = remote.wake?.(hint) ?? unwake;
        },
        () => undefined,
      );
      return () => {
        ended = true;
        unwake();
      };
    },
    awake: () => opened?.awake?.() === true,
    close: () => {
      closed = true;
      opening.then(
        (remote) => remote.close(),
        () => undefined,
      );
    },
  };
}
