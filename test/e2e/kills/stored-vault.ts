/** One vault on a server that is killed: what was acknowledged, and what is read of it afterwards. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { type Link, nextLink } from "@tidelock/core/log/chain";
import { parseFrame } from "@tidelock/core/log/frame";
import type { Remote, Result } from "@tidelock/core/ports";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { realClock, realScheduler } from "@tidelock/testkit/server-rig";
import { newDevice, type TestDevice, type TestVault } from "@tidelock/testkit/vault-people";
import Database from "better-sqlite3";

/** A device of the vault and its way to the server. */
export interface Member {
  readonly device: TestDevice;
  readonly index: number;
  readonly remote: Remote;
}

/** A judge reads everything at once, and is made to wait like anybody who does. */
async function patiently<T>(ask: () => Promise<Result<T>>): Promise<Result<T>> {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (answer.kind !== "busy" || tries >= 1_000) return answer;
    await sleep(answer.retryAfter);
  }
}

interface Placed {
  readonly first: number;
  readonly ids: readonly string[];
}

export class StoredVault {
  readonly suite: Suite;
  readonly vault: TestVault;
  readonly founder: Member;
  readonly found: string[] = [];
  acknowledged = 0;
  /** Acknowledged and not held against a reading yet. */
  #placed: Placed[] = [];
  readonly #blobs: Uint8Array[] = [];
  #blobsSeen = 0;
  /** What the log showed: SHA-256 of each frame, the chain to its end, and the last number of each device. */
  readonly #idBySeq: string[] = [];
  #link: Link;
  #bytes = 0;
  #lastByDevice = new Map<number, number>();
  #devices = 1;

  constructor(suite: Suite, vault: TestVault, url: string) {
    this.suite = suite;
    this.vault = vault;
    this.#link = vault.start.link;
    this.founder = { device: vault.founder, index: 0, remote: this.#remote(vault.founder, url) };
  }

  /** Founded, and with its first entry. */
  async begin(): Promise<void> {
    const created = await this.founder.remote.create(this.vault.genesis.bytes);
    if (created.kind !== "ok") throw new Error(`no vault: ${JSON.stringify(created)}`);
    await this.#append(this.founder, this.vault.first());
  }

  /** One more device of the founder's. */
  async admit(url: string): Promise<Member> {
    const device = newDevice(this.suite, this.vault.founder.person);
    const member = { device, index: this.#devices++, remote: this.#remote(device, url) };
    const at = { seq: this.#idBySeq.length, link: this.#link };
    await this.#append(member, this.vault.admission(device, member.index, at));
    return member;
  }

  async #append({ remote }: Member, frame: Parameters<Remote["append"]>[0][number]): Promise<void> {
    const answer = await remote.append([frame], { seq: 0, hash: new Uint8Array(32) });
    if (answer.kind !== "committed") throw new Error(`not placed: ${JSON.stringify(answer)}`);
    this.placed(answer.first, [frame]);
    await this.look();
  }

  /** A server said so. */
  placed(first: number, frames: readonly Uint8Array[]): void {
    this.#placed.push({ first, ids: frames.map((frame) => this.#id(frame)) });
    this.acknowledged += frames.length;
  }

  stored(blob: Uint8Array): void {
    this.#blobs.push(blob);
    this.acknowledged++;
  }

  /** What is new: numbers without a gap, each device's frames once and in order, and everything that was acknowledged. */
  async look(): Promise<void> {
    await this.#readFrom(this.#idBySeq.length);
    for (const { first, ids } of this.#placed)
      for (const [i, id] of ids.entries())
        if (this.#idBySeq[first + i - 1] !== id)
          this.#say(`a frame was committed at ${first + i} and is not there`);
    this.#placed = [];
    while (this.#blobsSeen < this.#blobs.length) await this.#lookAtBlob(this.#blobsSeen++);
  }

  /** From the beginning: all is as it was shown before. */
  async lookAgain(): Promise<void> {
    const before = { ids: this.#idBySeq.splice(0), hash: this.#link.hash };
    this.#link = this.vault.start.link;
    this.#lastByDevice = new Map();
    this.#bytes = 0;
    await this.#readFrom(0, before.ids.length, before.hash);
    for (const [i, id] of before.ids.entries())
      if (this.#idBySeq[i] !== id) this.#say(`entry ${i + 1} is another one than before`);
    for (const at of this.#blobs.keys()) await this.#lookAtBlob(at);
  }

  /** `hash`: of the chain as it was at `known`. */
  async #readFrom(after: number, known = 0, hash?: Uint8Array): Promise<void> {
    for (let seq = after; ; ) {
      const answer = await patiently(() => this.founder.remote.read(seq, { frames: 1024, bytes: 4 << 20 }));
      if (answer.kind !== "ok") throw new Error(`no reading: ${JSON.stringify(answer)}`);
      const { objects, head } = answer.value;
      if (objects.length === 0) {
        if (head !== seq) this.#say(`the log ends at ${seq}, and says ${head}`);
        return;
      }
      for (const object of objects) {
        if (object.kind !== "page" || object.first !== seq + 1) return this.#say(`no entry at ${seq + 1}`);
        for (const entry of object.entries) {
          this.#take(++seq, entry.time, entry.frame);
          if (seq === known && !equalBytes(this.#link.hash, hash as Uint8Array))
            this.#say(`the chain to entry ${seq} is another one than before`);
        }
      }
    }
  }

  #take(seq: number, time: number, frame: Uint8Array): void {
    const parsed = parseFrame(frame);
    const { device, deviceSeq } = parsed ?? { device: -1, deviceSeq: -1 };
    const last = this.#lastByDevice.get(device) ?? 0;
    if (deviceSeq !== last + 1)
      this.#say(`entry ${seq}: frame ${deviceSeq} of device ${device} after ${last}`);
    this.#lastByDevice.set(device, deviceSeq);
    const id = this.suite.sha256(frame);
    this.#link = nextLink(this.suite, this.#link, seq, { time, id, frame });
    this.#idBySeq.push(toHex(id));
    this.#bytes += frame.length;
  }

  async #lookAtBlob(at: number): Promise<void> {
    const blob = this.#blobs[at] as Uint8Array;
    const answer = await patiently(() => this.founder.remote.getBlob(this.suite.sha256(blob)));
    if (answer.kind !== "ok") throw new Error(`no blob: ${JSON.stringify(answer)}`);
    if (answer.value === undefined || !equalBytes(answer.value, blob))
      this.#say(`blob ${at} was stored and is lost`);
  }

  /** The dead server's own files: its counts, its head and each blob it knows. */
  onDisk(folder: string): readonly string[] {
    const found: string[] = [];
    const db = new Database(join(folder, "server.db"), { readonly: true });
    try {
      const sound = db.pragma("integrity_check", { simple: true });
      if (sound !== "ok") found.push(`server.db: ${String(sound)}`);
      const id = Buffer.from(this.vault.id);
      const row = db.prepare("SELECT * FROM vaults WHERE vault = ?").get(id) as Record<string, unknown>;
      const blobs = db.prepare("SELECT id, size FROM blobs WHERE vault_n = ?").all(row["n"]) as {
        readonly id: Buffer;
        readonly size: number;
      }[];
      const facts: readonly (readonly [string, unknown, unknown])[] = [
        ["head", row["head_seq"], this.#idBySeq.length],
        ["chain", toHex(row["head_hash"] as Uint8Array), toHex(this.#link.hash)],
        ["bytes of the log", row["log_bytes"], this.#bytes],
        ["bytes of blobs", row["blob_bytes"], blobs.reduce((sum, { size }) => sum + size, 0)],
      ];
      for (const [what, is, expected] of facts)
        if (is !== expected) found.push(`${what}: ${String(is)}, expected ${String(expected)}`);
      for (const blob of blobs) {
        const [vault, name] = [toHex(id), blob.id.toString("hex")];
        const path = join(folder, "blobs", vault.slice(0, 2), vault, name.slice(0, 2), name);
        if (toHex(this.suite.sha256(readFileSync(path))) !== name) found.push(`blob ${name} is damaged`);
      }
    } finally {
      db.close();
    }
    return found.map((what) => `${this.#name} ${what}`);
  }

  get #name(): string {
    return `vault ${toHex(this.vault.id).slice(0, 6)}`;
  }

  #say(what: string): void {
    this.found.push(`${this.#name}: ${what}`);
  }

  #id(frame: Uint8Array): string {
    return toHex(this.suite.sha256(frame));
  }

  #remote(device: TestDevice, url: string): Remote {
    return createServerRemote({
      url,
      vault: this.vault.id,
      suite: this.suite,
      clock: realClock,
      scheduler: realScheduler,
      fetch,
      identity: {
        person: device.person.keys,
        device: device.keys,
        signSecret: device.keys.signSecret,
        certificates: [device.certificate],
        registration: new Uint8Array(16),
      },
    });
  }
}
