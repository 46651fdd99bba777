/** The hash chain over a log's objects, computed once more from its formula. */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { LogObject } from "@tidelock/core/ports";

const MEMBERSHIP = 2;
const MEMBERSHIP_MAX = 64 << 10;

export class ChainWalk {
  readonly #suite: Suite;
  #members: Uint8Array;
  /** By seq: h_0, h_1, … */
  readonly links: Uint8Array[];

  constructor(suite: Suite, vault: Uint8Array) {
    this.#suite = suite;
    this.#members = vault;
    this.links = [vault];
  }

  get seq(): number {
    return this.links.length - 1;
  }

  /** Whether a page was written for this history. */
  joins(object: LogObject): boolean {
    const head = this.links.at(-1) as Uint8Array;
    return object.kind === "page" && (object.prev === null || equalBytes(object.prev, head));
  }

  /** The object at the next number: its entries, or one void entry. */
  add(object: LogObject): void {
    if (object.kind === "garbage" || !this.joins(object)) {
      this.#entry(0, object.hash, false);
      return;
    }
    for (const { time, frame } of object.entries)
      this.#entry(time, this.#suite.sha256(frame), frame[2] === MEMBERSHIP && frame.length <= MEMBERSHIP_MAX);
  }

  #entry(time: number, id: Uint8Array, membership: boolean): void {
    const at = new Uint8Array(14);
    const view = new DataView(at.buffer);
    view.setBigUint64(0, BigInt(this.links.length));
    view.setUint16(8, Math.floor(time / 2 ** 32));
    view.setUint32(10, time % 2 ** 32);
    const suite = this.#suite;
    if (membership) this.#members = suite.sha256(label("tl1/member-chain"), this.#members, at, id);
    this.links.push(suite.sha256(label("tl1/chain"), this.links.at(-1) as Uint8Array, this.#members, at, id));
  }
}

function label(name: string): Uint8Array {
  return Uint8Array.of(name.length, ...Buffer.from(name, "latin1"));
}
