import type { Sealed } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { endOf } from "@tidelock/core/log/page";
import type { AppendResult, LogObject, Page, Remote, Result } from "@tidelock/core/ports";
import { expect } from "vitest";

/** Where an append fails: before it left, when it is placed, or when its answer comes back. */
export type FaultPoint = "send" | "commit" | "reply";

/** A place for vaults with everything a test does to it. Made empty: no vault was founded in it. */
export interface RemoteFixture {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** Another device's view of the place. */
  readonly device: () => Promise<Remote>;
  /** Another handle of the same device, where a place tells devices apart. */
  readonly again?: (of: Remote) => Promise<Remote>;
  /** A place of its own beside this one. */
  readonly neighbour: () => Promise<Remote>;
  /** What whoever holds the storage's credentials can do. */
  readonly tamper: {
    readonly put: (number: number, bytes: Uint8Array) => Promise<void>;
    readonly drop: (number: number) => Promise<void>;
    readonly damageBlob: (id: Uint8Array) => Promise<void>;
  };
  /** What is stored now becomes so much older, ms. */
  readonly age: (ms: number) => Promise<void>;
  /** The next append of any device fails there, once. */
  readonly failNextAppend: (at: FaultPoint) => void;
  readonly reachable: (now: boolean) => Promise<void>;
  readonly readOnly: (now: boolean) => void;
  /** Where power can be cut: resolves when it was, after so many more calls of the storage. All devices are dead then. */
  readonly cutPower?: (afterCalls: number) => Promise<void>;
  /** Brings a cut that is to come forward to the next call. */
  readonly cutSoon?: () => void;
  readonly dispose: () => Promise<void>;
}

/** `seed` decides whatever is left to chance. */
export type CreateRemote = (seed: number) => Promise<RemoteFixture>;

export const ALL: { readonly frames: number; readonly bytes: number } = { frames: 1024, bytes: 4 << 20 };
export const GENESIS: Sealed = sealed("a genesis");

/** Stands for bytes that were sealed: a remote cannot tell. */
export function sealed(text: string): Sealed {
  return encodeUtf8(text) as Uint8Array as Sealed;
}

/** Stands for the chain hash after `seq`: a remote keeps it and does not judge it. */
export function chainAt(seq: number): Uint8Array {
  return new Uint8Array(32).fill(seq + 1);
}

export function append(remote: Remote, seq: number, ...texts: readonly string[]): Promise<AppendResult> {
  return remote.append(texts.map(sealed), { seq, hash: chainAt(seq) });
}

export function okOf<T>(result: Result<T>): T {
  if (result.kind !== "ok") throw new Error(`not ok: ${JSON.stringify(result)}`);
  return result.value;
}

export async function pageAfter(
  remote: Remote,
  after: number,
  want: { readonly frames: number; readonly bytes: number } = ALL,
): Promise<Page> {
  return okOf(await remote.read(after, want));
}

/** The whole log as a device reads it: page by page until nothing follows. */
export async function readAll(
  remote: Remote,
  want: { readonly frames: number; readonly bytes: number } = ALL,
): Promise<readonly LogObject[]> {
  const objects: LogObject[] = [];
  for (let after = 0; ; ) {
    const page = await pageAfter(remote, after, want);
    const last = page.objects.at(-1);
    if (last === undefined) {
      expect(page.head).toBe(after);
      return objects;
    }
    for (const object of page.objects) {
      if (object.first !== after + 1) throw new Error(`object ${object.first} stands after ${after}`);
      after = endOf(object);
    }
    if (page.head < after) throw new Error(`head ${page.head} with ${after} read`);
    objects.push(...page.objects);
  }
}

/** The texts of an object's frames; undefined for garbage. */
export function textsOf(object: LogObject | undefined): readonly (string | undefined)[] | undefined {
  return object?.kind === "page" ? object.entries.map(({ frame }) => decodeUtf8(frame)) : undefined;
}

/** A case on a place where a vault was founded. */
export function onVault(
  work: (fixture: RemoteFixture, a: Remote, b: Remote) => Promise<void>,
): (create: CreateRemote) => Promise<void> {
  return (create) => withVault(create, 1, work);
}

export async function withVault(
  create: CreateRemote,
  seed: number,
  work: (fixture: RemoteFixture, a: Remote, b: Remote) => Promise<void>,
): Promise<void> {
  const fixture = await create(seed);
  try {
    const a = await fixture.device();
    expect(await a.create(GENESIS)).toEqual({ kind: "ok", value: "created" });
    await work(fixture, a, await fixture.device());
  } finally {
    await fixture.dispose();
  }
}
