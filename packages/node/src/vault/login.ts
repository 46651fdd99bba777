/** This device signs in at its vault's server, with a registration token where its person is not known there. */
import { failureCode } from "@tidelock/core/engine/failure";
import { TidelockError } from "@tidelock/core/errors";
import { createScheduler } from "../env.ts";
import { isServer, tokenOf } from "./remote.ts";
import { signInAt } from "./server.ts";
import type { Session } from "./session.ts";

export interface LoggedIn {
  readonly remote: string;
}

export async function logIn(session: Session, registration: string | undefined): Promise<LoggedIn> {
  const { suite, clock, identity, info, engine } = session;
  const { remote } = info;
  if (remote === undefined || !isServer(remote))
    throw new TidelockError("unsupported-on-remote", {
      why: "a folder and a vault of this device alone want nobody to log in",
      next: "tidelock status",
    });
  const token = registration === undefined ? undefined : tokenOf(registration);
  if (identity === undefined)
    throw new TidelockError("key-missing", {
      why: "this home has no certificate to sign in with",
      next: "tidelock join --remote URL --words",
    });
  const scheduler = createScheduler();
  try {
    const who = token === undefined ? identity : { ...identity, registration: token };
    const done = await signInAt(remote, { suite, clock, scheduler, identity: who });
    if (done.kind !== "ok")
      throw new TidelockError(failureCode(done), { why: "why" in done ? done.why : "the server is busy" });
  } finally {
    scheduler.close();
  }
  engine.sync?.dispatch("now");
  return { remote };
}
