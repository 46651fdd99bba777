/**
 * What the world knows of a history beside the product: every edit, every acknowledgement, what each
 * device applied. The oracles that watch while it runs are here; those for its end are in `verdict.ts`.
 */

import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { RunFrame, Verdict } from "@tidelock/core/engine/api";
import { getEntry } from "@tidelock/core/engine/entries";
import { encodeSections } from "@tidelock/core/log/plaintext";
import type { Home, Life, SimNode } from "./node.ts";
import type { Oracle, World } from "./world.ts";

export interface RunRecord {
  readonly home: Home;
  /** Its id in the outbox. */
  readonly id: number;
  /** Its frames' changes, as text to find them by. */
  readonly texts: readonly string[];
  committed: boolean;
  /** A restored disk never knew of it. */
  undone: boolean;
  verdict: Verdict | undefined;
}

/** Halts that only a device which went back in time or lives twice may come to. */
const OWN_DOUBLE = "op-reused";
const MOST_CALLS = 600;
const MOST_FAILURES = 120;
const MINUTE = 60_000;

export class Ledger {
  readonly #world: World;
  readonly #byText = new Map<string, RunRecord>();
  readonly #sealed = new Map<string, string>();
  readonly #sent = new Set<string>();
  /** By seq: what the first device that applied it had there. */
  readonly ids: Uint8Array[] = [];
  readonly digests: Map<number, bigint> = new Map();
  readonly acks: { readonly node: string; readonly first: number; readonly ids: readonly Uint8Array[] }[] =
    [];
  readonly runs: RunRecord[] = [];
  /** The remote's holder changed what was there: devices may stop, and nothing else is promised. */
  rewritten = false;
  /** The remote acknowledged what it threw away. */
  lied = false;
  /** Seqs of entries that nobody signed: each costs its wait. */
  readonly unsigned: Set<number> = new Set();
  /** Seqs of what nobody who uses the vault has sent. */
  readonly planted: Set<number> = new Set();
  edits = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Watches a device's cipher: no nonce twice with another text. */
  watch(suite: Suite): Suite {
    return {
      ...suite,
      aeadSeal: (key, nonce, aad, plain) => {
        const out = suite.aeadSeal(key, nonce, aad, plain);
        const under = text(key) + text(nonce);
        const sealed = text(out);
        const before = this.#sealed.get(under);
        if (before !== undefined && before !== sealed)
          this.#world.fail("sealed", "one nonce seals two texts under one key");
        this.#sealed.set(under, sealed);
        return out;
      },
    };
  }

  tried(home: Home, id: number, frames: readonly RunFrame[]): RunRecord {
    const texts = frames.map((frame) => text(encodeSections(frame.sections)));
    const run: RunRecord = { home, id, texts, committed: false, undone: false, verdict: undefined };
    for (const one of texts) this.#byText.set(one, run);
    return run;
  }

  committed(node: SimNode, life: Life, run: RunRecord): void {
    run.committed = true;
    run.home.runs.push(run);
    this.runs.push(run);
    this.edits++;
    this.#await(node, life, run);
  }

  /** A new boot: edits without a verdict are asked for again. */
  resumed(node: SimNode, life: Life): void {
    // It may have gone over to another history and died before it could say so.
    const applied = life.replica?.cursor().applied ?? 0;
    if ((this.rewritten || this.lied) && applied < node.applied) node.applied = 0;
    this.observe(node, life);
    const from = node.deceivedFrom ?? Number.POSITIVE_INFINITY;
    for (const run of node.home.runs) {
      // It may have gone over to what the others have and died before it could say so.
      if (run.verdict !== undefined && run.verdict.seq > from) run.verdict = undefined;
      if (!run.undone && run.verdict === undefined) this.#await(node, life, run);
    }
  }

  #await(node: SimNode, life: Life, run: RunRecord): void {
    void life.engine?.verdict(run.id).then((verdict) => {
      if (!life.alive) return;
      run.verdict = verdict;
      const applied = life.replica?.cursor().applied ?? 0;
      if (applied < verdict.seq)
        this.#world.fail("outbox", `${node.name}: a verdict for seq ${verdict.seq} before it was applied`);
    });
  }

  find(changes: Uint8Array): RunRecord | undefined {
    return this.#byText.get(text(changes));
  }

  /** Bytes on their way: what was never sent must never be in a log. */
  sending(frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.#sent.add(text(frame));
  }

  wasSent(frame: Uint8Array): boolean {
    return this.#sent.has(text(frame));
  }

  acknowledged(node: SimNode, first: number, frames: readonly Uint8Array[]): void {
    this.acks.push({ node: node.name, first, ids: frames.map((f) => this.#world.suite.sha256(f)) });
  }

  /** After a transaction that may have moved the cursor: nothing may differ from what others saw. */
  observe(node: SimNode, life: Life): void {
    const { replica } = life;
    if (replica === undefined) return;
    const world = this.#world;
    const { applied } = replica.cursor();
    // What it was shown alone compares with nothing.
    if (applied === node.applied || node.deceivedFrom !== undefined) return;
    if (applied < node.applied) {
      world.fail("reads", `${node.name}: went back from seq ${node.applied} to ${applied}`);
      return;
    }
    replica.read((tx) => {
      for (let seq = node.applied + 1; seq <= applied; seq++) {
        const id = getEntry(tx, seq)?.id;
        const before = this.ids[seq];
        if (id === undefined) world.fail("chain", `${node.name}: no entry at ${seq}, which it applied`);
        else if (before === undefined) this.ids[seq] = id;
        else if (!equalBytes(before, id) && !this.rewritten)
          world.fail(
            "ghost",
            `device ${node.name} applied seq ${seq} = ${short(id)}, another applied ${short(before)}`,
          );
      }
    });
    node.applied = applied;
    if (replica.quarantined() > 0)
      world.fail("error", `${node.name}: a reducer failed on an entry up to ${applied}`);
    const digest = replica.digest();
    world.mix(applied, Number(digest & 0xffff_ffffn) | 0);
    const before = this.digests.get(applied);
    if (before === undefined) this.digests.set(applied, digest);
    else if (before !== digest && !this.rewritten)
      world.fail(
        "digest",
        `device ${node.name} holds another state at seq ${applied} than the first to get there`,
      );
  }

  /** It went over to what everybody else has: all it says from now on is compared again. */
  rebuilt(node: SimNode, life: Life): void {
    const from = node.deceivedFrom;
    if (from === undefined && !this.rewritten && !this.lied)
      this.#world.fail("ghost", `${node.name}: gave up a part of its history, and nobody lied to it`);
    node.deceivedFrom = node.lie?.from;
    node.applied = 0;
    for (const run of node.home.runs) {
      if (run.undone || (run.verdict !== undefined && run.verdict.seq <= (from ?? 0))) continue;
      run.verdict = undefined;
      this.#await(node, life, run);
    }
    this.observe(node, life);
  }

  halted(node: SimNode, code: string): void {
    const world = this.#world;
    // Until it is shown what the others have.
    if (node.deceivedFrom !== undefined && ["fork", "rollback", "chain-broken"].includes(code)) return;
    node.home.halt ??= code;
    world.say(() => `${node.name}  halted: ${code}`);
    if (code === OWN_DOUBLE && node.home.doubled) return;
    // Whether it really was is for the end, when all of the log is there.
    if (code === "device-removed" && world.plan.persons !== undefined) return;
    // In a rewritten history a device may also find its own numbers or its index used by another.
    if (this.rewritten || (this.lied && (code === "fork" || code === "rollback"))) return;
    // Without an attack, a remote that went back has lost what it acknowledged or handed out.
    const oracle: Oracle =
      code === OWN_DOUBLE || code === "rollback" ? "acked" : code === "fork" ? "ghost" : "chain";
    world.fail(oracle, `${node.name} halted with ${code}, and nobody attacked`);
  }

  called(node: SimNode, life: Life, name: string): void {
    const { timeline } = this.#world;
    const minute = Math.floor(timeline.now / MINUTE);
    if (minute !== node.minute) {
      node.minute = minute;
      node.calls = 0;
      node.failures = 0;
    }
    if (++node.calls > MOST_CALLS + this.runs.length * 40)
      this.#world.fail("bounded", `${node.name}: ${node.calls} calls within a minute, the last: ${name}`);
    // Sums of fractions differ by their order.
    if (life.engine !== undefined && timeline.now < life.notBefore - 0.001)
      this.#world.fail(
        "bounded",
        `${node.name}: calls again ${Math.round(life.notBefore - timeline.now)} ms before the remote allows it`,
      );
  }

  answered(
    node: SimNode,
    life: Life,
    value: { readonly kind: string; readonly retryAfter?: number },
    urged: number,
  ): void {
    if (value.kind === "busy" && life.urged === urged)
      life.notBefore = this.#world.timeline.now + (value.retryAfter ?? 0);
    if (value.kind === "ok" || value.kind === "committed" || value.kind === "behind") return;
    if (++node.failures > MOST_FAILURES)
      this.#world.fail("bounded", `${node.name}: ${node.failures} failing calls within a minute`);
  }
}

/** One UTF-16 unit a byte. */
export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function short(id: Uint8Array): string {
  return `${toHex(id.subarray(0, 4))}…`;
}
