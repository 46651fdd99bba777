/** The cast as those who ask: each with the best and the worst session it could have. */
import type { ProblemCode } from "@tidelock/server/problem";
import type { Level } from "@tidelock/server/store";
import type { Admitted, Cast, Place } from "./server-cast.ts";
import { OPERATOR, type ServerStage } from "./server-stage.ts";
import type { TestDevice } from "./vault-people.ts";

/** What somebody is in the vault that he calls his own. */
export type Rank = Level | "joining" | "removed" | "stranger";

export interface Asker {
  readonly name: string;
  readonly device: TestDevice;
  readonly token: string | undefined;
  /** What the session is refused with, at every route that asks for one. */
  readonly session: ProblemCode | undefined;
  /** Good, and not young enough for what asks for a fresh one. */
  readonly isStale: boolean;
  /** Whoever runs the server, and nobody's device. */
  readonly isOperator: boolean;
  readonly rank: Rank;
  readonly own: Place;
  readonly foreign: Place;
  /** Nobody's any more. */
  readonly gone: Place;
  /** Reserved by the device. */
  readonly rendezvous: Uint8Array;
  /** Its place in `own`, or the one that it would claim. */
  readonly claims: Pick<Admitted, "index" | "next">;
}

/** Sessions need a past: the stage is at least a quarter of an hour old. */
export async function createAskers(stage: ServerStage, cast: Cast): Promise<readonly Asker[]> {
  const { inHome, home, away, gone, neighbour, joining, late, signedOut, unknown } = cast;
  const { owner } = inHome;
  const { store } = stage.server.services;
  const all: Asker[] = [];

  async function add(name: string, device: TestDevice, rank: Rank, more: Partial<Asker> = {}): Promise<void> {
    const rendezvous = stage.suite.random(16);
    await store.reserve(rendezvous, device.id, stage.time.now() + 86_400_000);
    const admitted = [...Object.values(inHome), neighbour].find((one) => one.device === device);
    all.push({
      name,
      device,
      rank,
      own: home,
      foreign: away,
      gone,
      rendezvous,
      token: await stage.session(device),
      claims: admitted ?? { index: 6, next: 1 },
      session: undefined,
      isStale: false,
      isOperator: false,
      ...more,
    });
  }
  const asOwner = (name: string, more: Partial<Asker>): Promise<void> =>
    add(name, owner.device, "owner", more);
  const session = (over: Parameters<ServerStage["session"]>[1]): Promise<string> =>
    stage.session(owner.device, over);
  const bad = (token: string | undefined) => ({ session: "bad-proof" as const, token });

  await asOwner("nobody", bad(undefined));
  await asOwner("a token of no form", bad("nothing"));
  await asOwner("a torn token", bad(`${(await session({})).slice(0, -4)}AAAA`));
  await asOwner("another server's token", bad(await session({ server: 1 })));
  await asOwner("a token for elsewhere", bad(await session({ audience: "https://other.example" })));
  const expired = await session({ age: 900_000 });
  await asOwner("an expired token", { session: "session-expired", token: expired });
  await add("a device that never came", unknown, "stranger", { session: "bad-proof" });
  await add("a device that was signed out", signedOut, "joining", { session: "signed-out" });
  await add("an account that was closed", gone.vault.founder, "owner", { session: "account-closed" });
  await add("another account", neighbour.device, "owner", { own: away, foreign: home });
  await add("a new device of the removed", late, "stranger");
  for (const name of ["removed", "revoked"] as const) await add(name, inHome[name].device, "removed");
  await add("not admitted yet", joining, "joining");
  for (const level of ["viewer", "editor", "admin", "owner"] as const)
    await add(level, inHome[level].device, level);
  await asOwner("the owner, a minute later", { isStale: true, token: await session({ age: 60_000 }) });
  await asOwner("whoever runs the server", { ...bad(OPERATOR), isOperator: true });
  return all;
}
