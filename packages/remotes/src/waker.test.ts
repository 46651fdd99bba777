import type { Suite } from "@tidelock/core/crypto/suite";
import { expect, test } from "vitest";
import type { Sessions } from "./session.ts";
import { type Socket, Waker } from "./waker.ts";

/** What a server would send, sent by hand; and the timers that are set, none of which runs. */
function rig(): { waker: Waker; socket: () => Socket; timers: Set<number>; sent: string[] } {
  const timers = new Set<number>();
  const sent: string[] = [];
  let last: Socket | undefined;
  let made = 0;
  const open = (): Socket => {
    last = {
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => sent.push(text),
      close: () => sent.push("close"),
    };
    return last;
  };
  const after = (): (() => void) => {
    const timer = ++made;
    timers.add(timer);
    return () => timers.delete(timer);
  };
  const sessions = { token: async () => "session", drop: () => undefined } as unknown as Sessions;
  const suite = { random: (n: number) => new Uint8Array(n) } as unknown as Suite;
  const waker = new Waker(open, "http://127.0.0.1:1", "vault", sessions, { after }, suite);
  return { waker, timers, sent, socket: () => last as Socket };
}

test("[SRV60] what is no word of a server is passed over, and one that says nothing is given up", async () => {
  const { waker, socket, timers, sent } = rig();
  let hints = 0;
  waker.add(() => hints++);
  await Promise.resolve();
  expect(timers.size).toBe(1);
  const odd = [
    "null",
    "7",
    '"ok"',
    "[]",
    "{",
    "",
    '{"t":null}',
    '{"t":{"t":"ok"}}',
    '{"__proto__":{"t":"ok"}}',
  ];
  for (const data of odd) socket().onmessage?.({ data } as never);
  for (const data of [undefined, null, new ArrayBuffer(3), [], {}]) socket().onmessage?.({ data } as never);
  expect([hints, timers.size, sent]).toEqual([0, 1, []]);
});

const say = (socket: Socket, message: object): void =>
  socket.onmessage?.({ data: JSON.stringify(message) } as never);

test("[ENG22, SRV60] a hint has the seq that the server names, if it is one; it is awake only while it was told a head", async () => {
  const { waker, socket } = rig();
  const seqs: (number | undefined)[] = [];
  waker.add((seq) => seqs.push(seq));
  await Promise.resolve();
  expect(waker.awake).toBe(false);
  say(socket(), { t: "ok", heads: { other: 4 } });
  expect(waker.awake).toBe(false);
  say(socket(), { t: "ok", heads: { other: 4, vault: 5 } });
  expect(waker.awake).toBe(true);
  say(socket(), { t: "wake", v: "vault", seq: 6 });
  for (const seq of [-1, 1.5, 2 ** 53, "7", null, [8]]) say(socket(), { t: "wake", v: "vault", seq });
  say(socket(), { t: "wake", v: "other", seq: 9 });
  expect(seqs).toEqual([undefined, 5, 6, ...Array(7).fill(undefined)]);
  say(socket(), { t: "gone", v: "vault", code: "not-found" });
  expect(waker.awake).toBe(false);
  say(socket(), { t: "ok", heads: { vault: 5 } });
  seqs.length = 0;
  socket().onclose?.({ code: 1006 } as never);
  expect(waker.awake).toBe(false);
  // Whether the server is there shows only by a look, and the next poll is far away.
  expect(seqs).toEqual([undefined]);
  waker.close();
});

test("[SRV60] hints while it is open; closed, nothing that still arrives sets a timer or is a hint", async () => {
  const { waker, socket, timers, sent } = rig();
  let hints = 0;
  waker.add(() => hints++);
  await Promise.resolve();
  socket().onopen?.({} as never);
  say(socket(), { t: "ok" });
  say(socket(), { t: "wake", vault: "vault", seq: 7 });
  expect([hints, timers.size]).toEqual([2, 1]);
  const before = socket();
  waker.close();
  expect([timers.size, sent.at(-1)]).toEqual([0, "close"]);
  say(before, { t: "ok" });
  before.onclose?.({ code: 1006 } as never);
  expect([hints, timers.size]).toEqual([2, 0]);
});
