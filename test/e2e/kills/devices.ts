/** A device that dies: as a program with the SDK in it, and as a daemon beside an app. */
import type { Begin, Campaign } from "./campaign.ts";
import { Pair } from "./pair.ts";
import { Victim } from "./victim.ts";

/** The app itself dies: what its transactions returned for is there, and is in the log once. */
export const clientKills: Begin = (...given) => programKills("server", ...given);

/** The same where it writes the log itself, as files in a folder. */
export const folderKills: Begin = (...given) => programKills("folder", ...given);

async function programKills(place: "folder" | "server", ...given: Parameters<Begin>): Promise<Campaign> {
  const [folder, programs, seed] = given;
  const pair = await Pair.make(folder, programs, seed, place);
  return {
    victim: new Victim(() => pair.app("sdk", "a", pair.file("a")), pair.file("errors")),
    begin: async () => undefined,
    look: async () => pair.look(),
    judge: () => pair.judge(true),
    acknowledged: () => pair.ledgers.a.acknowledged,
    dispose: () => pair.dispose(),
  };
}

/** The daemon dies, the app writes on: what it committed arrives once, and its rows stay as it left them. */
export const daemonKills: Begin = async (folder, programs, seed) => {
  const pair = await Pair.make(folder, programs, seed, "server");
  const app = new Victim(() => pair.app("plain", "a", "40"), pair.file("errors"));
  await app.up();

  async function resting<T>(work: () => T | Promise<T>): Promise<T> {
    app.tell("pause");
    await app.said(/paused/);
    const found = await work();
    app.tell("go");
    return found;
  }

  return {
    victim: new Victim(
      () => ({ args: [programs.tidelock, "--home", pair.file("a"), "daemon", "run"], ready: /in sync/ }),
      pair.file("errors"),
    ),
    begin: async () => undefined,
    look: () => resting(() => pair.look()),
    judge: () => resting(() => pair.judge(false)),
    acknowledged: () => pair.ledgers.a.acknowledged,
    dispose: async () => {
      await app.end();
      await pair.dispose();
    },
  };
};
