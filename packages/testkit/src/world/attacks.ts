/** What whoever holds the storage can do to it. Most of it must end as entries without effect. */
import type { LogObject } from "@tidelock/core/ports";
import type { Shelf } from "./log-server.ts";
import { Stream } from "./random.ts";
import type { World } from "./world.ts";

const attacks = ["garbage", "repeated-frame", "altered-frame", "stray-page", "rewrite", "truncate"] as const;
export type Attack = (typeof attacks)[number];

export function isAttack(step: string): step is Attack {
  return (attacks as readonly string[]).includes(step);
}

export function attack(world: World, shelf: Shelf, what: Attack, step: number): void {
  const random = new Stream(world.seed, `attack:${step}`);
  const pages = shelf.objects.filter((o): o is LogObject & { kind: "page" } => o.kind === "page");
  const { ledger } = world;
  const time = Math.floor(world.plan.knobs.epoch + world.timeline.now);
  const wasted = (): void => {
    ledger.unsigned.add(shelf.head);
    ledger.planted.add(shelf.head);
  };
  if (what === "garbage") {
    if (shelf.placeGarbage === undefined) return;
    shelf.placeGarbage(random.bytes(random.int(0, 80)));
    wasted();
    return;
  }
  if (pages.length === 0) return;
  if (shelf.place === undefined && what !== "rewrite" && what !== "truncate") return;
  const { entries } = random.pick(pages);
  const { frame } = random.pick(entries);
  switch (what) {
    case "repeated-frame":
      shelf.place?.(null, [frame], time);
      ledger.planted.add(shelf.head);
      break;
    case "altered-frame":
      shelf.place?.(null, [altered(frame, random)], time);
      wasted();
      break;
    case "stray-page":
      shelf.place?.(random.bytes(32), [frame], time);
      wasted();
      break;
    case "rewrite": {
      const index = random.int(0, shelf.objects.length - 1);
      const old = shelf.objects[index];
      if (old?.kind !== "page" || shelf.rewrite === undefined) return;
      const at = random.int(0, old.entries.length - 1);
      const rewritten = old.entries.map((e, i) => (i === at ? { ...e, frame: altered(e.frame, random) } : e));
      shelf.rewrite(index, {
        kind: "page",
        first: old.first,
        prev: null,
        entries: rewritten,
        hash: old.hash,
      });
      ledger.rewritten = true;
      break;
    }
    case "truncate":
      if (shelf.truncate === undefined) return;
      shelf.truncate(random.int(1, Math.min(5, shelf.objects.length)));
      ledger.rewritten = true;
      break;
  }
  world.say(() => `attacker  ${what}, head ${shelf.head}`);
}

function altered(frame: Uint8Array, random: Stream): Uint8Array {
  const copy = frame.slice();
  const at = random.int(0, copy.length - 1);
  copy[at] = (copy[at] as number) ^ (1 << random.int(0, 7));
  return copy;
}
