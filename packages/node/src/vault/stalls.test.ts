import type { Remote } from "@tidelock/core/ports";
import { describe, expect, test } from "vitest";
import { orLate } from "./late-remote.ts";
import { refusingRemote } from "./remote.ts";
import { answered, databaseStall, remoteStall } from "./stalls.ts";

const never = <T>(): Promise<T> => new Promise(() => undefined);

describe("what does not answer", () => {
  test("[IFC31] an answer is waited for, silence is not, and a refusal is passed on", async () => {
    expect(await answered(Promise.resolve(7), 1000)).toBe(7);
    expect(await answered(never(), 1)).toBeUndefined();
    await expect(answered(Promise.reject(new Error("no")), 1000)).rejects.toThrow("no");
  });

  test("[IFC31] a remote that opens late is used from then on; closed before, it is closed then", async () => {
    let open: (remote: Remote) => void = () => undefined;
    const opening = new Promise<Remote>((resolve) => {
      open = resolve;
    });
    const late = await orLate(opening, 1);
    const read = late.read(0, { frames: 1, bytes: 1 });
    let closes = 0;
    let hints = 0;
    const real: Remote = {
      ...refusingRemote("as it is"),
      wake: (hint) => {
        hint();
        return () => undefined;
      },
      close: () => void closes++,
    };
    late.wake?.(() => void hints++);
    open(real);
    expect(await read).toEqual({ kind: "denied", why: "as it is" });
    expect(hints).toBe(1);
    late.close();
    expect(await late.genesis()).toMatchObject({ kind: "unreachable" });
    expect(closes).toBe(1);
  });

  test("[IFC31] a remote that cannot be opened in the end is unreachable, by its code alone", async () => {
    let fail: (error: Error) => void = () => undefined;
    const opening = new Promise<Remote>((_, reject) => {
      fail = reject;
    });
    const late = await orLate(opening, 1);
    const read = late.read(0, { frames: 1, bytes: 1 });
    fail(Object.assign(new Error("EIO: /home/somebody/remote"), { code: "EIO" }));
    expect(await read).toEqual({ kind: "unreachable", why: "it could not be opened (EIO)" });
  });

  test("[IFC31] of a sync at rest, or one that failed and says so, nothing is told; of a stall what it waits for", () => {
    const clock = { now: () => 0, mono: () => 100_000 };
    const facts = {
      state: "reading",
      halt: undefined,
      failure: undefined,
      diskFull: false,
      unpaid: false,
      used: undefined,
      stuck: undefined,
      nextTry: undefined,
      stalled: true,
      fresh: false,
      lastSync: undefined,
      lastUpload: undefined,
      lastDownload: undefined,
    } as const;
    const why = (more: object): string | undefined =>
      remoteStall({ ...facts, ...more }, clock)[0]?.why.replace(/ \(.*/, "");
    expect(why({ stalled: false })).toBeUndefined();
    expect(why({ failure: { kind: "unreachable", why: "x" } })).toBeUndefined();
    expect(why({ halt: "fork" })).toBeUndefined();
    expect(why({})).toBe("the remote does not answer a read");
    expect(why({ state: "sending" })).toBe("the remote does not answer a write");
    expect(why({ stuck: { why: "key-missing", since: 1000, upTo: 3 } })).toBe(
      "the vault's newest key has not come to this device",
    );
    expect(databaseStall(0)).toEqual([]);
    expect(databaseStall(2)).toMatchObject([{ code: "stalled", count: 2 }]);
  });
});
