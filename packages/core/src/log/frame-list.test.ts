import { expect, test } from "vitest";
import { concat, encodeUtf8, equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import { encodeFrameList, encodePageItem, parseFrameList, parsePageList } from "./frame-list.ts";
import { encodePage } from "./page.ts";

const frame = encodeUtf8("a frame");

test("[SRV54] a frame list comes back as it went, up to 256 frames", () => {
  for (const count of [1, 2, 256]) {
    const frames = Array.from({ length: count }, (_, i) => encodeUtf8(`frame ${i}`));
    expect(parseFrameList(encodeFrameList(frames))).toEqual(frames);
  }
  const whole = Array.from({ length: 4 }, (_, i) => new Uint8Array(limits.frame).fill(i));
  const back = parseFrameList(encodeFrameList(whole));
  expect(back?.map((one, i) => equalBytes(one, whole[i] as Uint8Array))).toEqual(whole.map(() => true));
});

test("[SRV54] any other bytes are no frame list", () => {
  const good = encodeFrameList([frame, frame]);
  const wrong = [
    new Uint8Array(0),
    Uint8Array.of(0),
    concat(good, Uint8Array.of(0)),
    good.subarray(0, -1),
    encodeFrameList([frame, new Uint8Array(0)]),
    encodeFrameList(Array.from({ length: 257 }, () => frame)),
    encodeFrameList([new Uint8Array(limits.frame + 1)]),
    new Writer(8).v(2 ** 40).done(),
  ];
  expect(wrong.map(parseFrameList)).toEqual(wrong.map(() => null));
});

test("[SRV54] a page list is pages one behind the other, from the asked number on", () => {
  const page = (first: number, count: number): Uint8Array =>
    encodePage({ first, prev: null, entries: Array.from({ length: count }, () => ({ time: 5, frame })) });
  const list = concat(encodePageItem(page(8, 3)), encodePageItem(page(11, 1)));
  expect(parsePageList(list, 7)?.map(({ page: { first, entries } }) => [first, entries.length])).toEqual([
    [8, 3],
    [11, 1],
  ]);
  expect(parsePageList(new Uint8Array(0), 7)).toEqual([]);
  expect(parsePageList(list, 8)).toBeNull();
  expect(parsePageList(concat(encodePageItem(page(8, 3)), encodePageItem(page(12, 1))), 7)).toBeNull();
  expect(parsePageList(list.subarray(0, -1), 7)).toBeNull();
  expect(parsePageList(encodePageItem(frame), 7)).toBeNull();
});
